/**
 * Sorts records by key. A fixed order of insertions prevents deadlocks between batches. The sort is stable: of two
 * records with the same key, the first gets it.
 */
export function inOrderOf<T>(items: readonly T[], key: (item: T) => string): T[] {
  const keyed = items.map((item) => ({ item, key: key(item) }));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(({ item }) => item);
}
