import type { ServerWritableStream } from '@grpc/grpc-js';
import type { AuditFilter, AuditPages, AuditPosition } from '../audit/audit-log.ts';
import { Failure } from '../failure.ts';
import { FairTurns } from '../fair-turns.ts';
import { auditHeadsRules, readAuditRules } from '../contract/audit-rules.ts';
import {
  AuditRecord,
  type AuditServer,
  type GetAuditHeadsRequest,
  type GetAuditHeadsResponse,
  type ReadAuditRequest,
  type ReadAuditResponse,
} from '../contract/generated/ridgewatch/v1/audit.ts';
import { check } from '../contract/validation.ts';
import { fromWireFilter, toWireRecords } from '../contract/wire-audit.ts';
import { reported, unary, type CallContext, type CallSettings } from './call.ts';
import { followCall } from './followed-call.ts';
import { toServiceError } from './status.ts';
import { sendTaken } from './taken-answers.ts';
import { answerTo, requestOf } from './wire-request.ts';

export interface AuditDependencies {
  readonly pages: AuditPages;
}

const METHOD = 'Audit/ReadAudit';
const DEFAULT_RECORDS = 1000;
const DEFAULT_HEADS = 100;
/** Matching records of a page, which is read in one short transaction. */
const PAGE = 100;
/** Size of an answer, in bytes; a larger record has one of its own. */
const ANSWER_BYTES = 262_144;
/** Pages that are read at a time, and readings that wait for their next one. */
const READING = 2;
const MAX_WAITING = 64;
/** Time for a reading, in milliseconds. */
const READING_MS = 600_000;

type Stream = ServerWritableStream<ReadAuditRequest, ReadAuditResponse>;

/** The `Audit` service. */
export function auditService(service: AuditDependencies, settings: CallSettings): AuditServer {
  const turns = new FairTurns(READING, MAX_WAITING, () => {
    const sentence = 'Too many readings of the audit wait for their turn; try again shortly.';
    return new Failure('resource-exhausted', 'QUEUE_FULL', sentence, { retryAfterMs: 1000 });
  });
  return {
    readAudit: (call) => {
      const followed = followCall(call, settings, false);
      void reported(METHOD, followed, settings, (context) => readAudit(service, turns, call, context)).then(
        (outcome) => {
          followed.release();
          if ('failure' in outcome) call.emit('error', toServiceError(outcome.failure));
          else call.end();
        },
      );
    },
    getAuditHeads: unary('Audit/GetAuditHeads', settings, (request: GetAuditHeadsRequest, context) =>
      getHeads(service, turns, request, context),
    ),
  };
}

/** Sends what matches, page by page: nothing of the database is held while the caller takes an answer. */
async function readAudit(
  { pages }: AuditDependencies,
  turns: FairTurns,
  call: Stream,
  context: CallContext,
): Promise<void> {
  const request = requestOf(call.request);
  check(readAuditRules, request);
  const asked = fromWireFilter(request.filter);
  const filter = permitted(context, asked);
  account(context, filter);
  // Durable before the first record leaves, however the reading ends.
  await context.recordEarly();
  const until = performance.now() + READING_MS;
  const most = request.maxRecords || DEFAULT_RECORDS;
  let left = most;
  let after: AuditPosition | undefined = request.after;
  let isLast = false;
  while (left > 0 && !isLast && performance.now() < until) {
    context.signal.throwIfAborted();
    // Rights may have changed since the page before.
    if (permitted(context, asked).agency !== filter.agency) throw narrowed();
    const page = await turns.run(context, () => pages.page(filter, after, Math.min(PAGE, left)));
    left -= page.batches.reduce((sum, { matching }) => sum + matching.size, 0);
    context.note({ record_count: most - left });
    ({ isLast } = page);
    after = page.position;
    const records = page.batches.flatMap(toWireRecords);
    const answers = inAnswers(records);
    for (const [i, part] of answers.entries()) {
      const isEnd = i === answers.length - 1;
      const response: ReadAuditResponse = {
        storeId: page.storeId,
        records: part,
        position: isEnd ? after : undefined,
        complete: isEnd && isLast,
      };
      await sendTaken(call, answerTo(call.request, response), context.signal);
    }
  }
}

/** At least one answer: one without records shows how far the reading has come. */
function inAnswers(records: readonly AuditRecord[]): AuditRecord[][] {
  const answers: AuditRecord[][] = [[]];
  let bytes = 0;
  for (const record of records) {
    const size = AuditRecord.encode(record).finish().length;
    if (bytes + size > ANSWER_BYTES && bytes > 0) {
      answers.push([]);
      bytes = 0;
    }
    bytes += size;
    answers.at(-1)?.push(record);
  }
  return answers;
}

async function getHeads(
  { pages }: AuditDependencies,
  turns: FairTurns,
  request: GetAuditHeadsRequest,
  context: CallContext,
): Promise<GetAuditHeadsResponse> {
  context.authorize({ purpose: 'none', galleries: [] });
  check(auditHeadsRules, request);
  const limit = request.pageSize || DEFAULT_HEADS;
  const after = request.afterWriter === '' ? undefined : request.afterWriter;
  const { storeId, heads } = await turns.run(context, () => pages.heads(after, limit + 1));
  return { storeId, heads: heads.slice(0, limit).map((head) => ({ ...head })), more: heads.length > limit };
}

/**
 * What the caller may read of what it asks for.
 * @throws Failure ACTION_NOT_PERMITTED, CONTRIBUTOR_NOT_PERMITTED where it may not read the records of this agency
 */
function permitted(context: CallContext, asked: AuditFilter): AuditFilter {
  const whole = { action: 'read-whole-audit', purpose: 'none', galleries: [] } as const;
  try {
    context.authorize(whole);
    return asked;
  } catch (thrown) {
    if (!(thrown instanceof Failure) || thrown.kind !== 'permission-denied') throw thrown;
  }
  const own = context.principal.client.agency;
  const agency = asked.agency ?? own;
  try {
    context.authorize({ action: 'read-audit', purpose: 'none', galleries: [], contributor: agency });
  } catch (thrown) {
    throw thrown instanceof Failure && thrown.reason === 'CONTRIBUTOR_NOT_PERMITTED' ? notOfAgency() : thrown;
  }
  return { ...asked, agency };
}

/** Tells the audit what was asked for: the log learns nothing of it. */
function account(context: CallContext, { subjectId, agency, clientId, kind, method, since, until }: AuditFilter): void {
  const named = { of_agency: agency, of_client: clientId, of_kind: kind, of_method: method, since, until };
  const given = Object.entries(named).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  context.account({ facts: Object.fromEntries(given), ...(subjectId !== undefined && { subject_id: subjectId }) });
}

function notOfAgency(): Failure {
  const sentence = 'The client reads the records of its own agency only.';
  return new Failure('permission-denied', 'CONTRIBUTOR_NOT_PERMITTED', sentence, { field: 'filter.agency' });
}

function narrowed(): Failure {
  const sentence = 'The rights of the client were changed during the reading: read on from the last position.';
  return new Failure('permission-denied', 'CONTRIBUTOR_NOT_PERMITTED', sentence, { field: 'filter.agency' });
}
