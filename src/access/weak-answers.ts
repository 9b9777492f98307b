/**
 * Counts what comparisons with a subject have told, over all clients together. An attacker who rebuilds a template
 * lives on answers that are weaker than a mate's: it has no mate to compare, until it has rebuilt one. With enough clients none
 * of them is ever refused, and the answers are what shows.
 */
import { LRUCache } from 'lru-cache';
import { MONTH_MS, SlidingCount } from './sliding-count.ts';

/**
 * Weak answers about a subject within 30 days from which on they are conspicuous, if they are at least half of its
 * answers. Of mates some 6 % get one: of a traveller with 20 comparisons ten are weak with a probability of 6 · 10⁻⁸.
 * Rebuilding a template takes 70 to 140 of them: an attacker who gets fewer a month needs most of a year or more.
 */
export const WEAK_TO_ALARM = 10;
/**
 * The same whatever their share is: otherwise the subject's own traffic would hide them. A subject compared 60 times in a
 * day has 3.6 on average and 16 with a probability of 3 · 10⁻⁷, one compared 88 times a month (a commuter whom two agencies
 * check) 5.3 and 6 · 10⁻⁵. The budget of a subject allows 24.
 */
export const MANY_WEAK_TO_ALARM = 16;
const LEAST_SHARE = 0.5;
/**
 * What one call counts at most: an examiner who compares ten fingers of another person with a subject has made one
 * comparison, and the second one is conspicuous.
 */
export const COUNTED_OF_CALL = 5;
/** What one call was told about a subject. */
export interface ToldAnswer {
  /** Rates or scores that the caller got, from 1. */
  readonly count: number;
  /** Weaker than a mate's. */
  readonly isWeak: boolean;
}

interface Answers {
  strong?: SlidingCount;
  weak?: SlidingCount;
}

export class WeakAnswers {
  readonly #bySubject: LRUCache<string, Answers>;

  /** @param maxSubjects - beyond it the longest unused is forgotten; 100,000 are about 40 MB */
  constructor(maxSubjects: number) {
    this.#bySubject = new LRUCache({ max: maxSubjects });
  }

  /** Notes an answer, in any order. @param atMs - by the clock of `conspicuous` */
  note(subjectId: string, { count, isWeak }: ToldAnswer, atMs: number): void {
    const answers = this.#bySubject.get(subjectId) ?? {};
    const own = isWeak ? (answers.weak ??= new SlidingCount()) : (answers.strong ??= new SlidingCount());
    own.add(Math.min(count, COUNTED_OF_CALL), atMs, MONTH_MS);
    this.#bySubject.set(subjectId, answers);
  }

  /** @returns weak answers within 30 days, if they are more than mates get; otherwise 0 */
  conspicuous(subjectId: string, nowMs: number): number {
    const { weak, strong } = this.#bySubject.get(subjectId) ?? {};
    const many = weak?.within(MONTH_MS, nowMs).events ?? 0;
    if (many < WEAK_TO_ALARM) return 0;
    const all = many + (strong?.within(MONTH_MS, nowMs).events ?? 0);
    return many >= MANY_WEAK_TO_ALARM || many >= LEAST_SHARE * all ? many : 0;
  }
}
