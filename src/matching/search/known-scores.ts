import type { Place } from '../../gallery/segment.ts';

/** Above the number of references in a segment. */
const INDICES = 2 ** 22;

/**
 * Scores that the first stage has found. They are those of a complete comparison, and the second stage need not make it
 * again. References are known by their place: a view reads each at one place throughout.
 */
export class KnownScores {
  /** By probe: scores by place. */
  readonly #scores: readonly Map<number, number>[];

  /** @param probes - number of probes */
  constructor(probes: number) {
    this.#scores = Array.from({ length: probes }, () => new Map<number, number>());
  }

  /** @param score - above 0: a comparison that ended early has 0, and a complete one might score more */
  note(probe: number, segmentId: number, index: number, score: number): void {
    this.#scores[probe].set(segmentId * INDICES + index, score);
  }

  /** @returns undefined: not known */
  of(probe: number, { segment, index }: Place): number | undefined {
    return this.#scores[probe].get(segment.handle.id * INDICES + index);
  }
}
