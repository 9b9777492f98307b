/**
 * Kinds of searches by what their probes can be compared by: one finger, several fingers, a face, or fingers and a
 * face. The codes lose mates of each at rates of their own.
 */
export const LIST_KINDS = ['finger', 'fingers', 'face', 'finger+face'] as const;
export type ListKind = (typeof LIST_KINDS)[number];

/** Shares of the subjects in memory, above 0 to 1. */
export interface ListShares {
  /** Ranked anew by whole vectors. */
  readonly ranked: number;
  /** Compared. Of no effect for faces, whose rank by whole embeddings is that of their comparison. */
  readonly compared: number;
}

/** List lengths that were measured on the gallery that is searched. Where there are none, fixed ones apply. */
export class ListLengths {
  readonly #shares = new Map<ListKind, ListShares>();

  of(kind: ListKind): ListShares | undefined {
    return this.#shares.get(kind);
  }

  set(kind: ListKind, shares: ListShares): void {
    this.#shares.set(kind, shares);
  }

  /** The fixed lengths apply again: too little could be measured. */
  delete(kind: ListKind): void {
    this.#shares.delete(kind);
  }

  /** The fixed lengths apply again: another gallery has come, and nothing has been measured on it. */
  clear(): void {
    this.#shares.clear();
  }
}
