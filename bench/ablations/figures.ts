/** Computes the effect of each part from the scores of the variants. */
import { errorRates, MIN_THRESHOLD, sortScores } from '../../index-builder/statistics/error-rates.ts';
import type { FoldScores } from './fold.ts';

/** False match rates at which FNMR is given, ascending. */
export const FALSE_MATCH_RATES: readonly number[] = [1e-4, 1e-3];
/** False match rate at which lost and gained mates are counted. */
const COUNTED = 1e-3;

export interface SetFigures {
  readonly mated: number;
  readonly nonMated: number;
  /** At each of FALSE_MATCH_RATES, 0 to 1; undefined if there are too few non-mated comparisons. */
  readonly falseNonMatchRates: readonly (number | undefined)[];
  /**
   * At FMR 10⁻³: mates that match with the full comparison but not with the variant, and the reverse. The difference is
   * the effect of the part; the sum shows how much of it may be chance.
   */
  readonly lost: number;
  readonly won: number;
}

/**
 * @param folds - scores by fold pair, variant and set; the first variant is the full comparison
 * @returns figures by variant and set
 */
export function measureVariants(folds: readonly (readonly (readonly FoldScores[])[])[]): SetFigures[][] {
  const [first] = folds;
  const wholes = first[0].map((_, s) => matesFound(joinFolds(folds, 0, s)));
  return first.map((sets, v) =>
    sets.map((_, s): SetFigures => {
      const scores = joinFolds(folds, v, s);
      const { points } = errorRates(sortScores(scores.mated, scores.nonMated), FALSE_MATCH_RATES);
      const found = matesFound(scores);
      return {
        mated: scores.mated.length,
        nonMated: scores.nonMated.length,
        falseNonMatchRates: points.map((point) => point?.fnmr),
        lost: found.filter((match, i) => !match && wholes[s][i]).length,
        won: found.filter((match, i) => match && !wholes[s][i]).length,
      };
    }),
  );
}

function joinFolds(folds: readonly (readonly (readonly FoldScores[])[])[], v: number, s: number): FoldScores {
  const parts = folds.map((fold) => fold[v][s]);
  return {
    mated: Int32Array.from(parts.flatMap(({ mated }) => [...mated])),
    nonMated: Int32Array.from(parts.flatMap(({ nonMated }) => [...nonMated])),
  };
}

/** Which mated comparisons match at FMR 10⁻³; none if there are too few comparisons. */
function matesFound({ mated, nonMated }: FoldScores): boolean[] {
  const [point] = errorRates(sortScores(mated, nonMated), [COUNTED]).points;
  return Array.from(mated, (score) => point !== undefined && score >= Math.max(MIN_THRESHOLD, point.threshold));
}
