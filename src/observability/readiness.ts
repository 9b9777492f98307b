/** Where the service is in its life. */
export type LifeStage = 'starting' | 'ready' | 'stopping';

export interface ReadinessState {
  readonly stage: LifeStage;
  /** A sentence about it; empty when there is nothing to say. */
  readonly detail: string;
}

/** Starting, ready, stopping: in this order, and never back. */
export class Readiness {
  #state: ReadinessState = { stage: 'starting', detail: 'Starting.' };

  get state(): ReadinessState {
    return this.#state;
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
}
