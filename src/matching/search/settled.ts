/**
 * Both results, after both have ended: a turn must not end while a search of it goes on.
 * @throws what the first has thrown, else what the second has
 */
export async function settled<T>(
  first: Promise<T>,
  second: Promise<T> | undefined,
): Promise<[first: T, second: T | undefined]> {
  await Promise.allSettled([first, second]);
  return [await first, await second];
}
