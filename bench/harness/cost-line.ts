/** Cost of a search by number of subjects: a fixed part, and a part for each subject. */
export interface CostLine {
  readonly fixed: number;
  readonly perSubject: number;
}

/**
 * The line with the least sum of squared relative errors: small galleries count as much as large ones.
 * @param points - at least two sizes
 */
export function fitCost(points: readonly { readonly subjects: number; readonly cost: number }[]): CostLine {
  let [n, x, xx, y, xy] = [0, 0, 0, 0, 0];
  for (const { subjects, cost } of points) {
    const weight = 1 / cost ** 2;
    n += weight;
    x += weight * subjects;
    xx += weight * subjects ** 2;
    y += weight * cost;
    xy += weight * subjects * cost;
  }
  const perSubject = (n * xy - x * y) / (n * xx - x * x);
  return { fixed: (y - perSubject * x) / n, perSubject };
}

export function costAt({ fixed, perSubject }: CostLine, subjects: number): number {
  return fixed + perSubject * subjects;
}
