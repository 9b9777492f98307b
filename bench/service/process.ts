import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { ServiceError } from '@grpc/grpc-js';
import { noteService } from './channel.ts';
import { programFile } from './program-file.ts';

/** Root of the program. */
export const ROOT = resolve(import.meta.dirname, '../..');

/** `ridgewatch serve` as a separate process. */
export interface ServiceProcess {
  readonly child: ChildProcess;
  /** host:port for gRPC. */
  readonly address: string;
  /** http://host:port for health and metrics. */
  readonly httpAddress: string;
  /** Log messages until it was ready. */
  readonly messages: readonly string[];
}

/**
 * Environment of a service, or of a command beside one, started by a bench. It excludes the caller's own settings: the
 * caller's database must not be measured, let alone killed.
 */
export function serviceEnvironment(env: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const isSetting = (name: string) => name === 'DATABASE_URL' || name.startsWith('RIDGEWATCH_');
  return { ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !isSetting(name))), ...env };
}

/** Starts the service on free ports and waits until it is ready. */
export async function startProcess(dataDir: string, env: Readonly<Record<string, string>>): Promise<ServiceProcess> {
  const args = [programFile, 'serve', '--data-dir', dataDir, '--grpc-port', '0', '--http-port', '0', '--json'];
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: serviceEnvironment({ RIDGEWATCH_LOG_LEVEL: 'info', ...env }),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const messages: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const { msg, grpc_port, http_port } = JSON.parse(line) as { msg: string; grpc_port?: number; http_port?: number };
    messages.push(msg);
    if (msg === 'ready') {
      child.stdout.resume();
      const address = `127.0.0.1:${grpc_port}`;
      noteService(address, dataDir);
      return {
        child,
        address,
        httpAddress: `http://127.0.0.1:${http_port}`,
        messages,
      };
    }
  }
  throw new Error('the service ended before it was ready');
}

/** Starts another command on a service's data directory. */
export function startCommand(
  args: readonly string[],
  dataDir: string,
  env: Readonly<Record<string, string>> = {},
): ChildProcess {
  return spawn(process.execPath, [programFile, ...args, '--data-dir', dataDir, '--json'], {
    cwd: ROOT,
    env: serviceEnvironment(env),
    stdio: 'ignore',
  });
}

/** The process id of the embedded database: line 1 of its pid file. */
export function databaseProcess(dataDir: string): number {
  return Number(readFileSync(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0]);
}

/** Ends a process if it has not ended yet. @returns resolves when it has ended */
export async function endProcess(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

/** Resident memory of the service's process; NaN if the system does not report it. */
export function residentMegabytes({ pid }: { readonly pid?: number | undefined }): number {
  const file = `/proc/${pid}/status`;
  const kilobytes = existsSync(file) ? /VmRSS:\s+(\d+)/.exec(readFileSync(file, 'utf8'))?.[1] : undefined;
  return kilobytes === undefined ? NaN : Math.round(Number(kilobytes) / 1024);
}

/** A call with a callback as a promise. */
export function promised<Response>(
  start: (callback: (error: ServiceError | null, response: Response) => void) => unknown,
): Promise<Response> {
  return new Promise((done, fail) => start((error, response) => (error === null ? done(response) : fail(error))));
}
