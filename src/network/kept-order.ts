/** A priority queue whose elements can change place: a binary heap. Every operation takes logarithmic time. */
export class KeptOrder<T> {
  readonly #isBefore: (a: T, b: T) => boolean;
  readonly #heap: T[] = [];
  readonly #places = new Map<T, number>();

  constructor(isBefore: (a: T, b: T) => boolean) {
    this.#isBefore = isBefore;
  }

  get first(): T | undefined {
    return this.#heap[0];
  }

  /** Adds a thing, or moves a changed one to its place. */
  put(thing: T): void {
    const place = this.#places.get(thing) ?? this.#heap.length;
    this.#set(place, thing);
    this.#settle(place);
  }

  delete(thing: T): void {
    const place = this.#places.get(thing);
    if (place === undefined) return;
    this.#places.delete(thing);
    const last = this.#heap.pop();
    if (last === undefined || place === this.#heap.length) return;
    this.#set(place, last);
    this.#settle(place);
  }

  #set(place: number, thing: T): void {
    this.#heap[place] = thing;
    this.#places.set(thing, place);
  }

  #settle(from: number): void {
    let place = from;
    while (place > 0 && this.#swapped(place, (place - 1) >> 1)) place = (place - 1) >> 1;
    for (;;) {
      const [left, right] = [2 * place + 1, 2 * place + 2];
      const [a, b] = [this.#heap[left], this.#heap[right]];
      const child = a !== undefined && b !== undefined && this.#isBefore(b, a) ? right : left;
      if (!this.#swapped(child, place)) return;
      place = child;
    }
  }

  /** Swaps two things if they are in the wrong order. @returns whether they were */
  #swapped(below: number, above: number): boolean {
    const [child, parent] = [this.#heap[below], this.#heap[above]];
    if (child === undefined || parent === undefined || !this.#isBefore(child, parent)) return false;
    this.#set(above, child);
    this.#set(below, parent);
    return true;
  }
}
