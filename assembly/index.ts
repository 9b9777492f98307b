/**
 * The kernels: pure functions over linear memory. They allocate nothing and write only where their host says.
 *
 * Their constant tables are data of the module, in the first 64 KiB of the memory. Instantiating writes them. Several
 * threads may instantiate over one shared memory: they write the same bytes.
 *
 * Built twice, without and with relaxed SIMD (asconfig.json). Only faces use relaxed SIMD, behind
 * ASC_FEATURE_RELAXED_SIMD; the finger code is the same in both builds. Relaxed operations are allowed only where every
 * engine gives the same result; fused multiply-add is not.
 */
export { compareFaces, resembleFaces } from './face/compare';
export { compareFingers, explainFingers, screenFingers } from './finger/compare';
export { arrangePlanes } from './finger/code';
export { encodeFinger } from './finger/encode';
export { encodeVector, scanVectors } from './finger/vector';

// Constants that the host checks: it refuses to run with kernels that have other values.
export {
  COMPARE_SCRATCH as FINGER_SCRATCH_BYTES,
  ENCODE_SCRATCH as ENCODE_SCRATCH_BYTES,
  MAX_PACKED as FINGER_PACKED_MAX_BYTES,
  MINIMUM_MINUTIAE,
  WEIGHTS as FINGER_WEIGHTS_ADDRESS,
} from './finger/layout';
export { EXPLANATION as EXPLANATION_BYTES } from './finger/compare';
export { FACE_SCRATCH as FACE_SCRATCH_BYTES } from './face/compare';
export { VECTOR_SCRATCH as VECTOR_SCRATCH_BYTES, VECTOR_TABLES as VECTOR_TABLES_BYTES } from './finger/vector-layout';
export { KNOT_COUNT, TERMS } from './finger/terms';
// Addresses of the tables: a test compares them with those of the oracle.
export { ANGULAR_WEIGHTS, ARCTANGENTS, COSINES, DISC, SPATIAL_WEIGHTS } from './finger/tables';
