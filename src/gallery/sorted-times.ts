/** Maximum length of a list; a full list is split. Short lists make insertion cheap. */
const MAX_IN_LIST = 1024;

/** A sorted multiset of times. Counts the times before an instant without reading all of them. */
export class SortedTimes {
  /** No list is empty. The last time of each list is not above the first of the next. */
  readonly #lists: number[][] = [];

  add(time: number): void {
    const at = this.#listWithAtLeast(time);
    const list = this.#lists.at(at) ?? this.#lists.at(-1);
    if (list === undefined) {
      this.#lists.push([time]);
      return;
    }
    list.splice(countBelow(list, time), 0, time);
    if (list.length > MAX_IN_LIST) this.#lists.splice(this.#lists.indexOf(list) + 1, 0, list.splice(MAX_IN_LIST / 2));
  }

  /** Removes a time that was added. */
  delete(time: number): void {
    const at = this.#listWithAtLeast(time);
    const list = this.#lists.at(at);
    const place = list === undefined ? 0 : countBelow(list, time);
    if (list?.[place] !== time) throw new RangeError('this time was not added');
    list.splice(place, 1);
    if (list.length === 0) this.#lists.splice(at, 1);
  }

  /** Number of times at or before the instant. */
  countUntil(instant: number): number {
    let count = 0;
    for (const list of this.#lists) {
      if (list[list.length - 1] > instant) return count + countUpTo(list, instant);
      count += list.length;
    }
    return count;
  }

  /** The first list whose last time is not below `time`. */
  #listWithAtLeast(time: number): number {
    let [low, high] = [0, this.#lists.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const list = this.#lists[middle];
      if (list[list.length - 1] < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function countBelow(list: readonly number[], time: number): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

function countUpTo(list: readonly number[], time: number): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list[middle] <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}
