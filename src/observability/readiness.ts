/** Stage of the service's life. */
export type LifeStage = 'starting' | 'ready' | 'stopping';

export interface ReadinessState {
  readonly stage: LifeStage;
  /** A sentence about the stage; may be empty. */
  readonly detail: string;
  /** False: the store accepts no changes now. Searches are answered, changes are refused. */
  readonly writing: boolean;
  /** Stored references that are known to be damaged. */
  readonly damagedReferences: number;
}

/**
 * Starting, ready, stopping: in this order, and never back. A service that searches is ready whatever the state of the
 * store: taking it out of service would leave checkpoints without an answer, and another service has the same store.
 */
export class Readiness {
  #state = { stage: 'starting' as LifeStage, detail: 'Starting.' };
  #trouble = '';
  readonly #damaged: () => number;

  /** @param damaged - returns how many stored references are known to be damaged */
  constructor(damaged: () => number = () => 0) {
    this.#damaged = damaged;
  }

  get state(): ReadinessState {
    const writing = this.#trouble === '';
    const { stage, detail } = this.#state;
    const damagedReferences = this.#damaged();
    const facts = { stage, writing, damagedReferences };
    if (stage !== 'ready') return { ...facts, detail };
    const sentences = [
      ...(detail === '' ? [] : [detail]),
      ...(writing ? [] : [`Searching, not writing: ${this.#trouble}`]),
      ...(damagedReferences === 0 ? [] : [damageSentence(damagedReferences)]),
    ];
    return { ...facts, detail: sentences.join(' ') };
  }

  /** Reports the progress of the start. Without effect once the service is ready or stopping. */
  starting(detail: string): void {
    if (this.#state.stage === 'starting') this.#state = { stage: 'starting', detail };
  }

  ready(): void {
    if (this.#state.stage === 'starting') this.#state = { stage: 'ready', detail: '' };
  }

  stopping(): void {
    this.#state = { stage: 'stopping', detail: 'Finishing the calls under way.' };
  }

  /** @param trouble - a sentence on why the store accepts no changes; empty: it accepts them */
  store(trouble: string): void {
    this.#trouble = trouble;
  }
}

function damageSentence(count: number): string {
  const what = count === 1 ? '1 stored reference is' : `${count} stored references are`;
  return `${what} damaged, and searches leave out what was not loaded before: ridgewatch store check says more.`;
}
