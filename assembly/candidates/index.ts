/**
 * The kernels of the candidate stage: pure functions over linear memory. They allocate nothing, have no tables, and
 * write only where their host says. They decide which references are compared, never a score. They are a separate
 * module: a change here does not change the hash of the comparison kernels, and all calibrations stay valid.
 *
 * Built twice, without and with relaxed SIMD. Only a look-up of nibbles differs: with indices below sixteen, relaxed
 * and plain look-ups give the same result on every engine.
 */
export { encodeCodes, projectFace, scanCodes } from './codes';
export { similaritiesAt } from './similarities';
export {
  addInstance,
  collectReferences,
  collectSubjects,
  collectValues,
  countValues,
  maskExpired,
  maskOutside,
  noteBest,
  noteBestSimilarities,
  rankSubjects,
  rankWith,
  uniteScopes,
} from './choose';
