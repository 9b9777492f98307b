import { status as Code } from '@grpc/grpc-js';
import type { ReceivedStatus } from '../api/status.ts';
import { Failure } from '../failure.ts';
import { EXIT } from './exit-codes.ts';
import { Interrupted } from './stop-signals.ts';

/** A call that the service refused or could not carry out. */
export class CallFailed extends Error {
  readonly status: ReceivedStatus;

  constructor(status: ReceivedStatus) {
    super(status.message);
    this.name = 'CallFailed';
    this.status = status;
  }
}

const REFUSED: ReadonlySet<number> = new Set([
  Code.INVALID_ARGUMENT,
  Code.NOT_FOUND,
  Code.ALREADY_EXISTS,
  Code.FAILED_PRECONDITION,
  Code.ABORTED,
]);

/**
 * Reports a failure on standard error: a sentence, or with --json one JSON document. Standard output has only answers.
 * @returns the exit code
 */
export function reportFailure(error: unknown, json: boolean): number {
  const { sentence, document, exitCode } = describe(error);
  if (error instanceof Error && process.env.RIDGEWATCH_STACK_TRACES === 'true')
    process.stderr.write(`${error.stack}\n`);
  process.stderr.write(json ? `${JSON.stringify({ error: document })}\n` : `${sentence}\n`);
  return exitCode;
}

function describe(error: unknown): { sentence: string; document: Record<string, unknown>; exitCode: number } {
  if (error instanceof CallFailed) {
    const { code, message, reason, metadata, violations } = error.status;
    const name = Code[code] ?? 'UNKNOWN';
    const exitCode = reason === 'NOT_COMPARABLE' ? EXIT.notComparable : REFUSED.has(code) ? EXIT.refused : EXIT.failed;
    const document = { code: name, reason, message, metadata, violations };
    return { sentence: `${name}${reason === undefined ? '' : ` (${reason})`}: ${message}`, document, exitCode };
  }
  if (error instanceof Failure) {
    const { reason, message, detail, kind } = error;
    const document = {
      code: kind.toUpperCase().replaceAll('-', '_'),
      reason,
      message,
      field: detail.field,
      metadata: detail.metadata,
    };
    const refused = kind === 'invalid-argument' || kind === 'not-found' || reason === 'GALLERY_UNKNOWN';
    return { sentence: message, document, exitCode: refused ? EXIT.refused : EXIT.failed };
  }
  if (error instanceof Interrupted) {
    const document = { code: 'CANCELLED', reason: 'INTERRUPTED', message: error.message };
    return { sentence: error.message, document, exitCode: error.exitCode };
  }
  const message = error instanceof Error ? error.message : String(error);
  const { syscall } = (error ?? {}) as { syscall?: unknown };
  const sentence =
    typeof syscall === 'string'
      ? `The system refused: ${message}.`
      : `ridgewatch failed because of a defect: ${message}. RIDGEWATCH_STACK_TRACES=true shows where.`;
  return { sentence, document: { code: 'UNKNOWN', message: sentence }, exitCode: EXIT.failed };
}
