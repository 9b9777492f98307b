import { pino, type DestinationStream, type LogFn, type Logger, type LoggerOptions } from 'pino';
import { describeError, redact } from './redaction.ts';

export type { Logger } from 'pino';

/**
 * The service's log: JSON lines. What may be logged: request ids, checkpoint ids, purposes, methods, statuses, reasons,
 * counts and durations. What may not is dropped by `redact`, wherever it stands in a line.
 * @param level - least level that is written
 * @param destination - standard output unless given; where that cannot be written, as on a full disk, lines are lost and
 * the service goes on
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
      // pino takes the message of an error that is logged without words, and that message may quote anything.
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

/** Lines that cannot be written are kept until they can be, up to this. */
const MAX_UNWRITTEN_BYTES = 1 << 20;

function standardOutput(): DestinationStream {
  const stream = pino.destination({ fd: 1, sync: true, maxLength: MAX_UNWRITTEN_BYTES });
  // Without a listener the error would end the service; there is no other place to tell of it.
  stream.on('error', () => undefined);
  return stream;
}
