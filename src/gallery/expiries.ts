import type { SubjectEntry } from './catalogue.ts';

/** When subjects expire. */
export class Expiries {
  /** The soonest last, so that the next one due is popped. */
  readonly #expiries: { readonly at: number; readonly subject: SubjectEntry }[] = [];

  /** Notes the expiry that the subject has now. */
  note(subject: SubjectEntry): void {
    const at = subject.attributes.expireTimeMs;
    if (at === undefined) return;
    let low = 0;
    let high = this.#expiries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#expiries[middle]?.at ?? 0) > at) low = middle + 1;
      else high = middle;
    }
    this.#expiries.splice(low, 0, { at, subject });
  }

  /** Takes out the subjects whose time is over; they may have got another expiry, or been expunged, since it was noted. */
  *due(nowMs: number): Generator<SubjectEntry> {
    for (let next = this.#expiries.at(-1); next !== undefined && next.at <= nowMs; next = this.#expiries.at(-1)) {
      this.#expiries.pop();
      if (next.subject.attributes.expireTimeMs === next.at) yield next.subject;
    }
  }
}
