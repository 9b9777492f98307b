export { binomialLimits } from '../../src/matching/rates/binomial-limits.ts';
