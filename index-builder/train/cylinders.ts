import { CYLINDER_SIZE } from '../../src/matching/model/finger-model.ts';
import { MINIMUM_MINUTIAE } from '../../src/matching/kernels/kernels.ts';
import { convexHull, packedMinutiae, rootsOf } from '../../src/matching/oracle/finger-encoding.ts';
import type { LabelledPrint } from '../prints/labelled-prints.ts';

/** The roots of all cylinders of some prints, for the places of a cylinder that can be above zero. */
export interface Cylinders {
  /** Indices of these places among a cylinder's values. */
  readonly places: readonly number[];
  /** Row-major, `places.length` per row. */
  readonly rows: Int16Array;
  /** First row of each print, then one past the last row; a print that cannot be compared has no rows. */
  readonly firstRow: Int32Array;
}

/** Computes the cylinders of prints, in their order. */
export function makeCylinders(prints: readonly LabelledPrint[]): Cylinders {
  const all = prints.map(({ template }) => {
    if (template.minutiae.length < MINIMUM_MINUTIAE) return [];
    const minutiae = packedMinutiae(template);
    const hull = convexHull(minutiae);
    return minutiae.map((minutia) => rootsOf(minutia, minutiae, hull));
  });
  const used = new Uint8Array(CYLINDER_SIZE);
  for (const print of all) for (const roots of print) roots.forEach((root, i) => (used[i] |= root > 0 ? 1 : 0));
  const places = Array.from(used.keys()).filter((i) => used[i] === 1);
  const firstRow = new Int32Array(prints.length + 1);
  all.forEach(({ length }, i) => (firstRow[i + 1] = firstRow[i] + length));
  const rows = new Int16Array(firstRow[prints.length] * places.length);
  all.flat().forEach((roots, row) => places.forEach((place, k) => (rows[row * places.length + k] = roots[place])));
  return { places, rows, firstRow };
}
