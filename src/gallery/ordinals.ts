import type { SubjectEntry } from './catalogue.ts';

/** Assigns ordinals to subjects, and finds a subject by its ordinal. */
export class Ordinals {
  readonly #subjects: (SubjectEntry | undefined)[] = [];
  readonly #free: number[] = [];

  /** One past the greatest ordinal ever assigned. */
  get end(): number {
    return this.#subjects.length;
  }

  /** The next ordinal to assign: a released one, to keep the range small, or a new one. */
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

  /** Releases an ordinal for reuse. Only when no search can still mean its former subject. */
  release(ordinal: number): void {
    this.#free.push(ordinal);
  }
}
