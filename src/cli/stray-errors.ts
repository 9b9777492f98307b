/** What goes wrong outside of a command's own work: output that is not read, errors that reach no caller. */
import { constants } from 'node:os';
import { EXIT } from './exit-codes.ts';
import { reportFailure } from './failure-output.ts';

/**
 * A reader that has seen enough, as `head`, is no fault: the command goes on to its end, without a word. What cannot be
 * written for another reason is said, and the command does not end as if all were well.
 */
export function outliveReaders(): void {
  let broken: number | undefined;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (broken !== undefined) return;
    const isReaderGone = error.code === 'EPIPE';
    broken = isReaderGone ? 128 + constants.signals.SIGPIPE : EXIT.failed;
    if (!isReaderGone) process.stderr.write(`The answer cannot be written (${error.code ?? error.message}).\n`);
  });
  // There is nowhere left to say it.
  process.stderr.on('error', () => undefined);
  process.on('exit', () => {
    if (broken !== undefined && (process.exitCode ?? EXIT.ok) === EXIT.ok) process.exitCode = broken;
  });
}

/** An error that reaches no caller ends a command like one that does: with a sentence and a code. */
export function reportStrayErrors(json: boolean): void {
  process.on('uncaughtException', (error) => {
    process.exitCode = reportFailure(error, json);
    // Who has a store open closes it first, and ends with the code of the signal.
    if (process.listenerCount('SIGTERM') > 0) process.kill(process.pid, 'SIGTERM');
    else process.exit();
  });
}
