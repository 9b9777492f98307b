/**
 * The names of all galleries that ever had a subject. A search of an emptied gallery finds no subject. A search of a
 * gallery that never existed is a mistake. Shared by the active gallery and its successors.
 */
export class GalleryNames {
  readonly #names = new Set<string>();

  add(names: Iterable<string>): void {
    for (const name of names) this.#names.add(name);
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  get count(): number {
    return this.#names.size;
  }

  /** In order. */
  get all(): readonly string[] {
    return [...this.#names].sort();
  }
}
