import type { SubjectEntry } from './catalogue.ts';

/** Gives subjects their ordinals, and finds a subject by its own. */
export class Ordinals {
  readonly #subjects: (SubjectEntry | undefined)[] = [];
  readonly #free: number[] = [];

  /** One past the greatest ordinal that was ever given. */
  get end(): number {
    return this.#subjects.length;
  }

  /** The next ordinal to be given: one that came back, so that they stay few, or a new one. */
  next(): number {
    return this.#free.pop() ?? this.#subjects.length;
  }

  enter(subject: SubjectEntry): void {
    this.#subjects[subject.ordinal] = subject;
  }

  subject(ordinal: number): SubjectEntry | undefined {
    return this.#subjects[ordinal];
  }

  leave({ ordinal }: SubjectEntry): void {
    this.#subjects[ordinal] = undefined;
  }

  /** Lets an ordinal be given again: only when no search can mean the subject who had it. */
  release(ordinal: number): void {
    this.#free.push(ordinal);
  }
}
