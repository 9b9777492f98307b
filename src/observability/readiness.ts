/** Where the service is in its life. */
export type LifeStage = 'starting' | 'ready' | 'stopping';

export interface ReadinessState {
  readonly stage: LifeStage;
  /** A sentence about it; empty when there is nothing to say. */
  readonly detail: string;
  /** False: searches are answered, changes are refused, for the store takes none now. */
  readonly writing: boolean;
}

/**
 * Starting, ready, stopping: in this order, and never back. A service that searches is ready whatever the store is like:
 * taking it out of service would leave checkpoints without an answer, and another one would have the same store.
 */
export class Readiness {
  #state = { stage: 'starting' as LifeStage, detail: 'Starting.' };
  #trouble = '';

  get state(): ReadinessState {
    const writing = this.#trouble === '';
    const { stage, detail } = this.#state;
    if (stage === 'ready' && !writing) return { stage, detail: `Searching, not writing: ${this.#trouble}`, writing };
    return { stage, detail, writing };
  }

  /** Says how far the start has come. Without effect once the service is ready or stopping. */
  starting(detail: string): void {
    if (this.#state.stage === 'starting') this.#state = { stage: 'starting', detail };
  }

  ready(): void {
    if (this.#state.stage === 'starting') this.#state = { stage: 'ready', detail: '' };
  }

  stopping(): void {
    this.#state = { stage: 'stopping', detail: 'Finishing the calls under way.' };
  }

  /** @param trouble - a sentence that says why the store takes no changes; empty: it takes them */
  store(trouble: string): void {
    this.#trouble = trouble;
  }
}
