/** Errors outside a command's own work: output that is not read, errors that reach no caller. */
import { constants } from 'node:os';
import { EXIT } from './exit-codes.ts';
import { reportFailure } from './failure-output.ts';

/**
 * A reader that closes its end, as `head` does, is no fault: the command continues silently. Other write errors are
 * reported, and the command ends with a failure code.
 */
export function outliveReaders(): void {
  let broken: number | undefined;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (broken !== undefined) return;
    const isReaderGone = error.code === 'EPIPE';
    broken = isReaderGone ? 128 + constants.signals.SIGPIPE : EXIT.failed;
    if (!isReaderGone) process.stderr.write(`The answer cannot be written (${error.code ?? error.message}).\n`);
  });
  // There is no other place to report it.
  process.stderr.on('error', () => undefined);
  process.on('exit', () => {
    if (broken !== undefined && (process.exitCode ?? EXIT.ok) === EXIT.ok) process.exitCode = broken;
  });
}

/** An error that reaches no caller ends a command like every other error: with a sentence and a code. */
export function reportStrayErrors(json: boolean): void {
  process.on('uncaughtException', (error) => {
    process.exitCode = reportFailure(error, json);
    // A command with an open store closes it first, then ends with the code of the signal.
    if (process.listenerCount('SIGTERM') > 0) process.kill(process.pid, 'SIGTERM');
    else process.exit();
  });
}
