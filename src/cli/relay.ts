/** Runs the program in a child process, for a Node.js that is too old to run it and cannot exec another program. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { launcherEnvironment } from './launch.ts';

/**
 * Signals that are passed on. Others suspend or resume processes, cannot be caught, or report a fault of this process.
 */
const PASSED_ON = [
  ...(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGALRM'] as const),
  ...(['SIGVTALRM', 'SIGXCPU', 'SIGIO', 'SIGPWR', 'SIGSTKFLT'] as const),
].filter((signal) => signal in constants.signals);

/**
 * Runs the launcher, passes signals on to it, and ends as it ends. If this process is killed, the program notices the
 * loss of its parent and ends.
 */
export function relay(launcher: string, args: readonly string[]): void {
  const child = spawn('/bin/sh', [launcher, ...args], {
    stdio: 'inherit',
    env: launcherEnvironment(true),
  });
  for (const signal of PASSED_ON) process.on(signal, () => child.kill(signal));
  child.once('error', (error) => {
    process.stderr.write(`ridgewatch could not be started: ${error.message}.\n`);
    process.exitCode = 1;
  });
  child.once('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    // In case the signal does not end this process.
    setTimeout(() => process.exit(128 + constants.signals[signal]), 100);
  });
}
