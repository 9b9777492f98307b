/** A process of callers: each waits for its answer before it makes the next call. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** Where callers reach a server. */
export interface CallerAddress {
  readonly address: string;
  /** Certificates in PEM; undefined: without TLS. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string } | undefined;
}

/** One piece of a measurement. */
export interface CallerOrder {
  /** Each caller makes the same call to one after the other, again and again. */
  readonly places: readonly CallerAddress[];
  readonly callers: number;
  readonly seconds: number;
  /** Enrolled people of the probes, from 0; every other search is for one of them. */
  readonly enrolled: number;
}

export interface CallerReport {
  /** For each place, the time of each answered call, in milliseconds. */
  readonly answeredMs: readonly (readonly number[])[];
  readonly failed: number;
  /** Answers with a candidate. */
  readonly found: number;
}

export class Callers {
  readonly #process: ChildProcess = fork(join(import.meta.dirname, 'caller-worker.ts'), { execArgv: [] });

  async call(order: CallerOrder): Promise<CallerReport> {
    this.#process.send(order);
    const [report] = (await once(this.#process, 'message')) as [CallerReport];
    return report;
  }

  close(): void {
    this.#process.kill();
  }
}
