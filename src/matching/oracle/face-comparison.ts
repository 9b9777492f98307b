/** The face kernel in plain TypeScript. */

/**
 * @param a - values of an embedding, -128 to 127 each
 * @param b - values of another embedding of the same model and length
 * @returns their exact inner product: |score| ≤ dimension · 2¹⁴
 */
export function compareFacesReference(a: Int8Array, b: Int8Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}
