/** The twin of assembly/candidates: codes of candidate vectors, estimates from codes, and the choice of subjects. */
import { CENTROIDS, CENTROID_UNIT, CODE_PAIRS, componentsOf } from '../../src/matching/model/finger-vector-model.ts';

/** The nearest centroid of each pair of components; of equally near ones the first. */
export function nearestCentroids(vector: Int8Array, codeBook: Int16Array): number[] {
  return Array.from({ length: CODE_PAIRS }, (_, pair) => {
    const [x, y] = componentsOf(pair).map((component) => vector[component] * CENTROID_UNIT);
    const squares = Array.from({ length: CENTROIDS }, (_unused, c) => {
      const [cx, cy] = [codeBook[2 * pair * CENTROIDS + c], codeBook[(2 * pair + 1) * CENTROIDS + c]];
      return (cx - x) ** 2 + (cy - y) ** 2;
    });
    return squares.indexOf(Math.min(...squares));
  });
}

/** The value that a scan gives a reference that was not removed: 1 + its similarity in steps. */
export function valueOfCodes(codes: readonly number[], tables: Uint8Array, base: number): number {
  const sum = codes.reduce((total, code, pair) => Math.min(255, total + tables[pair * CENTROIDS + code]), 0);
  return Math.max(1, base + 1 - sum);
}

/**
 * Subjects by rank.
 * @param instances - for each instance, owners and values of the scanned references
 * @returns ranks of the subjects with at least one value above 0
 */
export function ranksByValues(
  instances: readonly (readonly { readonly owner: number; readonly value: number }[])[],
  table: Uint16Array,
): Map<number, number> {
  const bests = instances.map((references) => {
    const best = new Map<number, number>();
    for (const { owner, value } of references) if (value > 0) best.set(owner, Math.max(value, best.get(owner) ?? 0));
    return best;
  });
  const owners = new Set(bests.flatMap((best) => [...best.keys()]));
  return new Map(
    Array.from(owners, (owner) => {
      const values = bests.flatMap((best) => best.get(owner) ?? []);
      const sum = values.reduce((total, value) => total + value - 1, 0);
      return [owner, Math.floor((sum * table[2 * values.length]) / 256) + table[2 * values.length + 1]];
    }),
  );
}
