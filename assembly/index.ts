/**
 * The kernels: pure functions over linear memory. They allocate nothing and write only where their host says.
 *
 * Their constant tables are data of the module, in the first 64 KiB of the memory. Instantiating writes them; several
 * threads may instantiate over one shared memory, for they write the same bytes.
 *
 * Built twice, without and with relaxed SIMD (asconfig.json). Only faces use it, behind ASC_FEATURE_RELAXED_SIMD;
 * fingers are the same code in both. No relaxed operation whose result engines may choose is allowed, no fused one.
 */
export { compareFaces, resembleFaces } from './face/compare';
export { compareFingers, explainFingers } from './finger/compare';
export { arrangePlanes } from './finger/code';
export { encodeFinger } from './finger/encode';
export { encodeVector, scanVectors } from './finger/vector';

// What the host has to know; it refuses to run with kernels that say otherwise.
export {
  COMPARE_SCRATCH as FINGER_SCRATCH_BYTES,
  ENCODE_SCRATCH as ENCODE_SCRATCH_BYTES,
  LARGEST_PACKED as FINGER_PACKED_MAX_BYTES,
  MINIMUM_MINUTIAE,
  WEIGHTS as FINGER_WEIGHTS_ADDRESS,
} from './finger/layout';
export { EXPLANATION as EXPLANATION_BYTES } from './finger/compare';
export { FACE_SCRATCH as FACE_SCRATCH_BYTES } from './face/compare';
export { VECTOR_SCRATCH as VECTOR_SCRATCH_BYTES, VECTOR_TABLES as VECTOR_TABLES_BYTES } from './finger/vector';
export { KNOT_COUNT, TERMS } from './finger/terms';
// Addresses of the tables, so that they can be compared with the reference's.
export { ANGULAR_WEIGHTS, ARCTANGENTS, COSINES, DISC, SPATIAL_WEIGHTS } from './finger/tables';
