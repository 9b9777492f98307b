import { extname } from 'node:path';
import { Piscina } from 'piscina';
import { forgetGate, makeGate } from './call-gate.ts';
import type { GraphResult, GraphTask, SearchTask } from './graph-messages.ts';

/** A graph, or the thread that owned it, has failed or was stopped: it can no longer be searched. */
export class GraphLostError extends Error {
  override readonly name = 'GraphLostError';
}

interface Turn {
  readonly task: GraphTask;
  readonly resolve: (result: GraphResult) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The thread that owns one graph. Searches and changes take turns: neither waits for more than one of the other kind.
 * The first failure ends the thread, since its graph may be damaged.
 */
export class GraphThread {
  readonly #pool: Piscina<GraphTask, GraphResult>;
  readonly #gate = makeGate();
  readonly #onFailure: (error: unknown) => void;
  readonly #searches: Turn[] = [];
  readonly #changes: Turn[] = [];
  /** The task in hand. */
  #running: { readonly kind: GraphTask['kind']; readonly ended: Promise<void> } | undefined;
  #searchedLast = false;
  #end: GraphLostError | undefined;

  /** @param onFailure - called once, unless the thread was stopped before */
  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
    this.#pool = new Piscina<GraphTask, GraphResult>({
      filename: new URL(`./graph-worker${extname(import.meta.url)}`, import.meta.url).href,
      minThreads: 1,
      maxThreads: 1,
      idleTimeout: Infinity,
      concurrentTasksPerWorker: 1,
      workerData: this.#gate,
      recordTiming: false,
    });
    this.#pool.on('error', (error: unknown) => this.#fail(error));
    // The pool would start another thread, without a graph.
    for (const thread of this.#pool.threads)
      thread.once('exit', () => this.#fail(new Error('the thread of a graph has ended')));
  }

  /** @throws GraphLostError */
  change(task: Exclude<GraphTask, SearchTask>): Promise<GraphResult> {
    return new Promise((resolve, reject) => this.#enqueue(this.#changes, { task, resolve, reject }));
  }

  /** @throws GraphLostError; the signal's reason */
  search(task: SearchTask, signal: AbortSignal): Promise<GraphResult> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const leave = () => {
        const at = this.#searches.indexOf(turn);
        if (at >= 0) this.#searches.splice(at, 1);
        reject(signal.reason as Error);
      };
      const settled = () => signal.removeEventListener('abort', leave);
      const turn: Turn = {
        task,
        resolve: (result) => {
          settled();
          resolve(result);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#enqueue(this.#searches, turn);
    });
  }

  /**
   * Ends the thread, and releases its graph, after the task in hand: a few changes or a search. hnswlib-node ends the
   * process if its thread is terminated in the middle of a call. Learning calls no hnswlib, and ends at once.
   */
  async stop(): Promise<void> {
    this.#close(new GraphLostError('the graph was stopped'));
    if (this.#running !== undefined && this.#running.kind !== 'learn') await this.#running.ended;
    await this.#destroy();
  }

  #enqueue(queue: Turn[], turn: Turn): void {
    if (this.#end !== undefined) return turn.reject(this.#end);
    queue.push(turn);
    this.#next();
  }

  #next(): void {
    if (this.#running !== undefined) return;
    const [first, second] = this.#searchedLast ? [this.#changes, this.#searches] : [this.#searches, this.#changes];
    const turn = first.shift() ?? second.shift();
    if (turn === undefined) return;
    const { kind } = turn.task;
    this.#searchedLast = kind === 'search';
    const ended = this.#pool.run(turn.task).then(
      (result) => {
        this.#running = undefined;
        turn.resolve(result);
        this.#next();
      },
      (error: unknown) => {
        this.#running = undefined;
        turn.reject(this.#fail(error));
      },
    );
    this.#running = { kind, ended };
  }

  #fail(error: unknown): GraphLostError {
    if (this.#end !== undefined) return this.#end;
    const end = this.#close(new GraphLostError('a graph has failed', { cause: error }));
    void this.#destroy();
    this.#onFailure(error);
    return end;
  }

  async #destroy(): Promise<void> {
    await this.#pool.destroy();
    forgetGate(this.#gate);
  }

  #close(end: GraphLostError): GraphLostError {
    this.#end ??= end;
    for (const turn of [...this.#searches.splice(0), ...this.#changes.splice(0)]) turn.reject(this.#end);
    return this.#end;
  }
}
