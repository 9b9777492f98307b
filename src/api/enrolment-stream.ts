import type { Author } from '../store/history-rows.ts';
import type { NewSubject } from '../store/records.ts';
import type { Asker } from '../fair-turns.ts';
import { asFailure, Failure } from '../failure.ts';
import {
  decodeRequest,
  packEnrolment,
  type DecodedEnrolment,
  type EnrolmentDependencies,
  type PreparedEnrolment,
} from '../enrolment/enrolment.ts';
import {
  EnrollOutcome,
  type EnrollRequest,
  type EnrollStreamRequest,
  type EnrollStreamResponse,
} from '../contract/generated/ridgewatch/v1/gallery.ts';
import { MAX_OUTCOME_STATUS_BYTES, toShortStatus } from './status.ts';
import { Turns } from '../turns.ts';
import { doneWith } from './watched-call.ts';
import { requestOf, WireRequest } from './wire-request.ts';
import { warningCodes } from '../contract/wire-warnings.ts';

/** One message of the stream. */
export type StreamedRecord = EnrollStreamRequest | WireRequest<EnrollStreamRequest, never>;

interface StreamLimits {
  readonly records: number;
  /** Size limit of the answer. */
  readonly answerBytes: number;
}

/** Records per transaction: enough to amortise the commit, few enough to keep it short. */
const RECORDS_PER_BATCH = 100;
/**
 * Size limit of a batch, in bytes. Records stay in memory until their batch is stored, and a hundred of the largest
 * would use too much.
 */
const BYTES_PER_BATCH = 4_194_304;
/** Field numbers of `record.client_request_id`. */
const REQUEST_ID_PATH = [1, 3];
/** Size limit of an id that an outcome repeats, in bytes. */
const MAX_REQUEST_ID_BYTES = 64;
/** Size limit of an encoded outcome: the status, the request id and their framing. */
const MAX_OUTCOME_BYTES = MAX_OUTCOME_STATUS_BYTES + MAX_REQUEST_ID_BYTES + 32;
/** Size limit of the tag and length before an outcome in the answer. */
const MAX_FRAME_BYTES = 4;
/** Names of new galleries in the answer, at most 64 bytes each. */
const MAX_NEW_GALLERIES = 100;
/** Size limit of everything in the answer besides outcomes. */
const MAX_COUNTS_BYTES = 64 + MAX_NEW_GALLERIES * 66;

/** Spreads refusals over the event loop; many streams could otherwise have theirs processed in one turn. */
const refusing = new Turns();

interface Received {
  readonly record: StreamedRecord;
  readonly clientRequestId: string;
  readonly request: EnrollRequest | Failure;
}

export interface StreamDependencies extends EnrolmentDependencies {
  /** Named in the histories of the subjects. */
  readonly author: Author;
  /** @throws Failure unless the caller may enrol the subject */
  permit(subject: NewSubject): void;
  /** Called when the stream has ended, however it did: what was enrolled before stays enrolled. */
  noteCounts(response: EnrollStreamResponse): void;
  /** Records which subjects a batch has enrolled. @throws Failure AUDIT_UNAVAILABLE */
  recordEnrolled(subjectIds: readonly string[]): Promise<void>;
}

/** The result of a record that was not refused. */
interface EnrolledRecord {
  readonly subjectId: string;
  readonly warnings: PreparedEnrolment['warnings'];
}

/**
 * Enrols the records of a stream, batch by batch. A refused record does not affect the others. The answer always lists
 * what was enrolled. The stream is ended early if it has too many records, if the answer has no room for more outcomes,
 * if the store fails, or if the caller sends bytes that are not a message or nothing for too long. The outcomes so far
 * are then the answer, and the last one gives the reason.
 * @param fault - returns, after the last record, why the caller sent no more; undefined if it sent all
 * @throws Failure when there is no outcome to report with it; the signal's reason
 */
export async function enrollMany(
  service: StreamDependencies,
  records: AsyncIterable<StreamedRecord>,
  limits: StreamLimits,
  asker: Asker,
  fault: () => Failure | undefined,
): Promise<EnrollStreamResponse> {
  const stream = new EnrolmentStream(service, limits, asker);
  const { signal } = asker;
  try {
    // A caller that is no longer let in need not send another record to learn so.
    await Promise.race([taken(stream, records, signal), abortOf(signal)]);
    signal.throwIfAborted();
    const why = fault();
    if (why === undefined) await stream.flush(true);
    else await stream.cutOff(why);
    return stream.response;
  } finally {
    // A batch that is being stored is stored: the call is not over, nor are its counts known, before it is.
    await stream.settled;
    service.noteCounts(stream.response);
  }
}

async function taken(stream: EnrolmentStream, records: AsyncIterable<StreamedRecord>, signal: AbortSignal) {
  for await (const record of records) {
    signal.throwIfAborted();
    if (!(await stream.take(record))) break;
  }
}

/** Rejects with the reason when the signal is aborted. */
function abortOf(signal: AbortSignal): Promise<never> {
  const ended = new Promise<never>((_, reject) => {
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- the reason is a Failure
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  ended.catch(() => undefined);
  return ended;
}

class EnrolmentStream {
  readonly response: EnrollStreamResponse = {
    outcomes: [],
    enrolledCount: 0,
    refusedCount: 0,
    galleryVersion: 0,
    newGalleries: [],
    endedEarly: false,
  };
  readonly #service: StreamDependencies;
  readonly #limits: StreamLimits;
  readonly #asker: Asker;
  #batch: Received[] = [];
  #settled: Promise<unknown> = Promise.resolve();
  #batchBytes = 0;
  /**
   * Bytes left in the answer, assuming the largest outcome for every record of the batch and for a final outcome that
   * gives the reason of an early end.
   */
  #bytesLeft: number;

  constructor(service: StreamDependencies, limits: StreamLimits, asker: Asker) {
    this.#asker = asker;
    this.#service = service;
    this.#limits = limits;
    this.#bytesLeft = limits.answerBytes - MAX_COUNTS_BYTES - MAX_OUTCOME_BYTES;
  }

  /** @returns false if the stream has ended */
  async take(record: StreamedRecord): Promise<boolean> {
    const { records } = this.#limits;
    if (this.response.outcomes.length + this.#batch.length >= records) {
      const sentence = `A stream may have at most ${records} records: this one and all later ones were not processed.`;
      return this.#end(new Failure('resource-exhausted', 'TOO_MANY_RECORDS', sentence));
    }
    // The actual outcomes of the batch may be smaller than reserved.
    if (this.#bytesLeft < MAX_OUTCOME_BYTES && !(await this.flush())) return false;
    if (this.#bytesLeft < MAX_OUTCOME_BYTES) {
      const sentence = 'The answer has no room for more outcomes: this record and all later ones were not processed.';
      return this.#end(new Failure('resource-exhausted', 'TOO_MANY_OUTCOMES', sentence));
    }
    this.#bytesLeft -= MAX_OUTCOME_BYTES;
    this.#batch.push(receive(record));
    this.#batchBytes += record instanceof WireRequest ? record.byteLength : 0;
    const isFull = this.#batch.length >= RECORDS_PER_BATCH || this.#batchBytes >= BYTES_PER_BATCH;
    return !isFull || this.flush();
  }

  /**
   * Ends the stream because the caller failed to send the rest. @throws Failure `why`, when there is no other outcome
   */
  async cutOff(why: Failure): Promise<void> {
    if (this.response.endedEarly) return;
    if (this.response.outcomes.length + this.#batch.length === 0) throw why;
    await this.#end(why);
  }

  /**
   * Enrols the batch.
   * @param isLast - no record follows
   * @returns false if the stream has ended because the store failed
   */
  flush(isLast = false): Promise<boolean> {
    const flushed = this.#flush(isLast);
    this.#settled = Promise.allSettled([this.#settled, flushed]);
    return flushed;
  }

  /** Resolves when no batch is being stored. */
  get settled(): Promise<unknown> {
    return this.#settled;
  }

  async #flush(isLast: boolean): Promise<boolean> {
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    if (batch.length === 0) return !this.response.endedEarly;
    const prepared = await prepareBatch(this.#service, batch);
    let failed: Failure | undefined;
    try {
      const { outcomes, unfollowed } = await storeBatch(this.#service, prepared, this.response, this.#asker);
      for (const [i, outcome] of outcomes.entries())
        await refusing.take(() => this.#note(batch[i]?.clientRequestId ?? '', outcome));
      failed = unfollowed;
    } catch (thrown) {
      failed = asFailure(thrown);
      // Nothing was enrolled, so the call itself can fail.
      if (this.response.enrolledCount === 0) throw failed;
      for (const [i, { clientRequestId }] of batch.entries()) {
        const own = prepared[i];
        this.#note(clientRequestId, own instanceof Failure ? own : failed);
      }
    }
    for (const { record } of batch) doneWith(record);
    return failed === undefined || isLast || this.#end(failed);
  }

  /** Ends the stream. The reason becomes the outcome of the first record that was not processed. */
  async #end(why: Failure): Promise<false> {
    await this.flush();
    if (!this.response.endedEarly) {
      this.response.endedEarly = true;
      this.#note('', why);
    }
    return false;
  }

  #note(clientRequestId: string, came: EnrolledRecord | Failure): void {
    const { outcomes } = this.response;
    const outcome: EnrollOutcome = { recordIndex: outcomes.length, clientRequestId, outcome: undefined, warnings: [] };
    if (came instanceof Failure) {
      this.response.refusedCount++;
      this.#service.countRefusal(came);
      outcome.outcome = { $case: 'error', value: toShortStatus(came) };
    } else {
      this.response.enrolledCount++;
      this.#service.countWarnings(came.warnings);
      outcome.outcome = { $case: 'subjectId', value: came.subjectId };
      outcome.warnings = warningCodes(came.warnings);
    }
    outcomes.push(outcome);
    this.#bytesLeft += MAX_OUTCOME_BYTES - EnrollOutcome.encode(outcome).finish().length - MAX_FRAME_BYTES;
  }
}

/** A fault of one record becomes its outcome. */
function receive(record: StreamedRecord): Received {
  try {
    const request = requestOf(record).record ?? emptyRecord();
    const { clientRequestId } = request;
    return {
      record,
      clientRequestId: Buffer.byteLength(clientRequestId) <= MAX_REQUEST_ID_BYTES ? clientRequestId : '',
      request,
    };
  } catch (thrown) {
    const clientRequestId =
      'findText' in record ? record.findText(REQUEST_ID_PATH, MAX_REQUEST_ID_BYTES) : record.record?.clientRequestId;
    return { record, clientRequestId: clientRequestId ?? '', request: asFailure(thrown) };
  }
}

/** Decodes the records one by one, so that other work gets its turn, then packs all of them for the kernels. */
async function prepareBatch(
  service: StreamDependencies,
  batch: readonly Received[],
): Promise<(PreparedEnrolment | Failure)[]> {
  const decoded: (DecodedEnrolment | Failure)[] = [];
  for (const { request } of batch) {
    await refusing.take(() => undefined);
    decoded.push(request instanceof Failure ? request : await decodeRequest(service, request).catch(asFailure));
  }
  return Promise.all(
    decoded.map(async (one) => (one instanceof Failure ? one : permitted(service, one).catch(asFailure))),
  );
}

async function permitted(service: StreamDependencies, decoded: DecodedEnrolment): Promise<PreparedEnrolment> {
  const prepared = await packEnrolment(service, decoded);
  service.permit(prepared.subject);
  return prepared;
}

/**
 * @returns for each record the subject or the reason for refusal; and why the gallery or the audit failed to follow, if
 * one did
 * @throws Failure when the transaction failed
 */
async function storeBatch(
  service: StreamDependencies,
  prepared: readonly (PreparedEnrolment | Failure)[],
  response: EnrollStreamResponse,
  asker: Asker,
): Promise<{ outcomes: (EnrolledRecord | Failure)[]; unfollowed: Failure | undefined }> {
  const accepted = prepared.filter((one): one is PreparedEnrolment => !(one instanceof Failure));
  const wanted = accepted.map(({ subject }) => service.follower.newAmong(subject.galleries));
  const stored = accepted.length === 0 ? [] : await service.store.enrollMany(accepted, asker, service.author);
  const sequences = stored.flatMap((outcome) => ('failure' in outcome ? [] : [outcome.seq]));
  const made = wanted.filter((_, i) => stored[i] !== undefined && !('failure' in stored[i])).flat();
  response.newGalleries = [...new Set([...response.newGalleries, ...made])].sort().slice(0, MAX_NEW_GALLERIES);
  let unfollowed: Failure | undefined;
  if (sequences.length > 0) {
    const last = Math.max(...sequences);
    try {
      await service.follower.advanceTo(last, new Map(accepted.flatMap(({ packed }) => [...packed])));
      response.galleryVersion = Math.max(response.galleryVersion, last);
    } catch (thrown) {
      // The records are enrolled, and become searchable when the gallery follows.
      unfollowed = asFailure(thrown);
    }
  }
  const enrolled = stored.flatMap((outcome) => ('failure' in outcome ? [] : [outcome.subject.subjectId]));
  if (enrolled.length > 0)
    // The stream may go on for hours, or end without an answer.
    await service.recordEnrolled(enrolled).catch((thrown: unknown) => (unfollowed ??= asFailure(thrown)));
  let next = 0;
  const outcomes = prepared.map((one): EnrolledRecord | Failure => {
    if (one instanceof Failure) return one;
    const outcome = stored[next++];
    if (outcome === undefined) throw new Error('an enrolment came to no outcome');
    if ('failure' in outcome) return asFailure(outcome.failure);
    return { subjectId: outcome.subject.subjectId, warnings: one.warnings };
  });
  return { outcomes, unfollowed };
}

function emptyRecord(): EnrollRequest {
  return { data: undefined, samples: [], clientRequestId: '' };
}
