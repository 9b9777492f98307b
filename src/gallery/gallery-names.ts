/**
 * The names of all galleries that any subject ever belonged to: a search of one that was emptied is a search of nobody,
 * but of one that never was it is a mistake. Shared by the gallery that is served and those that may follow it.
 */
export class GalleryNames {
  readonly #names = new Set<string>();

  add(names: Iterable<string>): void {
    for (const name of names) this.#names.add(name);
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** In order. */
  get all(): readonly string[] {
    return [...this.#names].sort();
  }
}
