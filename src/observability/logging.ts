import { pino, type DestinationStream, type LogFn, type Logger, type LoggerOptions } from 'pino';
import { describeError, redact } from './redaction.ts';

export type { Logger } from 'pino';

/**
 * The service's log: JSON lines. Allowed are request ids, checkpoint ids, purposes, methods, statuses, reasons, counts
 * and durations. `redact` drops everything forbidden, anywhere in a line.
 * @param level - lowest level that is written
 * @param destination - default: standard output. If it cannot be written, as on a full disk, lines are lost and the
 * service continues.
 */
export function createLogger(level: string, destination?: DestinationStream): Logger {
  const options: LoggerOptions = {
    level,
    base: undefined,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: {
      level: (label) => ({ level: label }),
      log: (line) => redact(line) as Record<string, unknown>,
    },
    hooks: {
      // If an error is logged without a message, pino uses the error's message, which may quote anything.
      logMethod(args: unknown[], method: LogFn) {
        const [first, words] = args;
        const line = first instanceof Error ? { err: first } : first;
        const message = typeof line === 'string' ? line : typeof words === 'string' ? words : '';
        if (typeof line === 'string') method.call(this, message);
        else method.call(this, line, message);
      },
    },
    serializers: { err: (error: unknown) => (error instanceof Error ? describeError(error) : error) },
  };
  return pino(options, destination ?? standardOutput());
}

/** Largest buffer of lines that cannot be written yet. */
const MAX_UNWRITTEN_BYTES = 1 << 20;

function standardOutput(): DestinationStream {
  const stream = pino.destination({ fd: 1, sync: true, maxLength: MAX_UNWRITTEN_BYTES });
  // Without a listener the error would end the service. There is no other place to report it.
  stream.on('error', () => undefined);
  return stream;
}
