/** The subjects of neighbouring references. */

/** Whether the sixteen ordinals follow each other: subjects were enrolled in turn, and each has one reference here. */
@inline
export function areConsecutive(owners: usize, first: u32): bool {
  const base = i32x4.splat(first as i32);
  const a = v128.xor(i32x4.sub(v128.load(owners), i32x4(0, 1, 2, 3)), base);
  const b = v128.xor(i32x4.sub(v128.load(owners, 16), i32x4(4, 5, 6, 7)), base);
  const c = v128.xor(i32x4.sub(v128.load(owners, 32), i32x4(8, 9, 10, 11)), base);
  const d = v128.xor(i32x4.sub(v128.load(owners, 48), i32x4(12, 13, 14, 15)), base);
  return !v128.any_true(v128.or(v128.or(a, b), v128.or(c, d)));
}
