/**
 * The kernels of the candidate stage: pure functions over linear memory. They allocate nothing, have no tables, and
 * write only where their host says. They decide which references are compared, never a score. They are a separate
 * module: a change here does not change the hash of the comparison kernels, and all calibrations stay valid.
 *
 * Built twice, without and with relaxed SIMD. Only look-ups of nibbles and products of faces differ. With indices below
 * sixteen, and operands as face-batches.ts prepares them, relaxed and plain instructions give the same result on every
 * engine.
 */
export { encodeCodes, projectFace, scanCodes } from './codes';
export { scanCodes2, scanCodes4, scanCodes8 } from './code-batches';
export { prepareFace, resembleFaces2, resembleFaces4, resembleFaces8 } from './face-batches';
export { similaritiesAt } from './similarities';
export { addInstance, noteBest, noteBestSimilarities } from './best';
export { collectSubjects, maskExpired, maskOutside, rankSubjects, rankWith, uniteScopes } from './choose';
export { collectReferences, collectValues, countValues, wipe } from './lists';
