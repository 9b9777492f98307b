import { spawn, type ChildProcess } from 'node:child_process';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { ServiceError } from '@grpc/grpc-js';

const root = resolve(import.meta.dirname, '..');

/** `ridgewatch serve` as a process of its own. */
export interface ServiceProcess {
  readonly child: ChildProcess;
  /** host:port for gRPC. */
  readonly address: string;
}

/** Starts the service on free ports and waits until it is ready. */
export async function startProcess(dataDir: string, env: Readonly<Record<string, string>>): Promise<ServiceProcess> {
  const args = ['src/cli/main.ts', 'serve', '--data-dir', dataDir, '--grpc-port', '0', '--http-port', '0', '--json'];
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, RIDGEWATCH_LOG_LEVEL: 'info', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const { msg, grpc_port } = JSON.parse(line) as { msg: string; grpc_port?: number };
    if (msg === 'ready') {
      child.stdout.resume();
      return { child, address: `127.0.0.1:${grpc_port}` };
    }
  }
  throw new Error('the service ended before it was ready');
}

/** A call with a callback as a promise. */
export function promised<Response>(
  start: (callback: (error: ServiceError | null, response: Response) => void) => unknown,
): Promise<Response> {
  return new Promise((done, fail) => start((error, response) => (error === null ? done(response) : fail(error))));
}
