import type { RecordFacts } from './grant.ts';

/** Record classes that are numbered: more than a gallery may have. */
export const MAX_NUMBERED_CLASSES = 32_768;

/** Numbers the record classes that were asked about, from 1. Equal attributes have the same number. */
export class RecordNumbers {
  readonly #byObject = new WeakMap<RecordFacts, number>();
  readonly #byText = new Map<string, number>();

  /** undefined: there are too many classes. */
  of(record: RecordFacts): number | undefined {
    return this.#byObject.get(record) ?? this.#find(record);
  }

  get isFull(): boolean {
    return this.#byText.size >= MAX_NUMBERED_CLASSES;
  }

  #find(record: RecordFacts): number | undefined {
    const caveats = [...new Set(record.caveats)].sort();
    const text = JSON.stringify([record.contributor, record.provenance, ...caveats]);
    let number = this.#byText.get(text);
    if (number === undefined) {
      if (this.isFull) return undefined;
      number = this.#byText.size + 1;
      this.#byText.set(text, number);
    }
    this.#byObject.set(record, number);
    return number;
  }
}
