import type { Asker } from '../fair-turns.ts';
import { Failure } from '../failure.ts';
import {
  decodeRequest,
  packEnrolment,
  type DecodedEnrolment,
  type EnrolmentDependencies,
  type PreparedEnrolment,
} from './enrolment.ts';
import {
  EnrollOutcome,
  type EnrollRequest,
  type EnrollStreamRequest,
  type EnrollStreamResponse,
} from './generated/ridgewatch/v1/gallery.ts';
import { asFailure, MAX_OUTCOME_STATUS_BYTES, toShortStatus } from './status.ts';
import { Turns } from './turns.ts';
import { doneWith } from './watched-call.ts';
import { requestOf, WireRequest } from './wire-request.ts';
import { warningCodes } from './wire-warnings.ts';

/** One message of the stream. */
export type StreamedRecord = EnrollStreamRequest | WireRequest<EnrollStreamRequest, never>;

interface StreamLimits {
  readonly records: number;
  /** Of the answer. */
  readonly answerBytes: number;
}

/** Records that share a transaction: enough to make the commit cheap, few enough to keep it short. */
const RECORDS_PER_BATCH = 100;
/** Records are kept until their batch is stored: of the largest, a hundred would take too much memory. */
const BYTES_PER_BATCH = 4_194_304;
/** Where a message holds `record.client_request_id`, and the most bytes of one that is told again. */
const REQUEST_ID_PATH = [1, 3];
const MAX_REQUEST_ID_BYTES = 64;
/** Largest outcome: the status, the request id, and what is around them. */
const MAX_OUTCOME_BYTES = MAX_OUTCOME_STATUS_BYTES + MAX_REQUEST_ID_BYTES + 32;
/** What stands in front of an outcome in the answer. */
const MAX_FRAME_BYTES = 4;
/** Names of new galleries in the answer, of at most 64 bytes each. */
const MAX_NEW_GALLERIES = 100;
/** What the answer holds besides outcomes. */
const MAX_COUNTS_BYTES = 64 + MAX_NEW_GALLERIES * 66;

/** Records of many streams that are refused at once would otherwise be dealt with all together. */
const refusing = new Turns();

interface Received {
  readonly record: StreamedRecord;
  readonly clientRequestId: string;
  readonly request: EnrollRequest | Failure;
}

/** What became of a record that was not refused. */
interface EnrolledRecord {
  readonly subjectId: string;
  readonly warnings: PreparedEnrolment['warnings'];
}

/**
 * Enrols the records of a stream, batch by batch. A record that is refused does not touch the others. What was enrolled
 * is always told: where the stream has to end before its end, because it is too long, the answer is full, the store fails
 * or the caller sends what is no message, or nothing for too long, the outcomes so far are the answer, and the last one
 * says why nothing after it was looked at.
 * @param fault - tells, once there are no more records, why there are none
 * @throws Failure when there is nothing to tell beside it; the signal's reason
 */
export async function enrollMany(
  service: EnrolmentDependencies,
  records: AsyncIterable<StreamedRecord>,
  limits: StreamLimits,
  asker: Asker,
  fault: () => Failure | undefined,
): Promise<EnrollStreamResponse> {
  const stream = new EnrolmentStream(service, limits, asker);
  const { signal } = asker;
  for await (const record of records) {
    signal.throwIfAborted();
    if (!(await stream.take(record))) break;
  }
  signal.throwIfAborted();
  const why = fault();
  if (why === undefined) await stream.flush(true);
  else await stream.cutOff(why);
  return stream.response;
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
  readonly #service: EnrolmentDependencies;
  readonly #limits: StreamLimits;
  readonly #asker: Asker;
  #batch: Received[] = [];
  #batchBytes = 0;
  /** Left of the answer when every record of the batch has the largest outcome, and one more says why the stream ends. */
  #bytesLeft: number;

  constructor(service: EnrolmentDependencies, limits: StreamLimits, asker: Asker) {
    this.#asker = asker;
    this.#service = service;
    this.#limits = limits;
    this.#bytesLeft = limits.answerBytes - MAX_COUNTS_BYTES - MAX_OUTCOME_BYTES;
  }

  /** @returns whether there may be more */
  async take(record: StreamedRecord): Promise<boolean> {
    const { records } = this.#limits;
    if (this.response.outcomes.length + this.#batch.length >= records) {
      const sentence = `A stream may bring at most ${records} records: this one and those after it were not looked at.`;
      return this.#end(new Failure('resource-exhausted', 'TOO_MANY_RECORDS', sentence));
    }
    // It may fit after all once it is known what became of the others.
    if (this.#bytesLeft < MAX_OUTCOME_BYTES && !(await this.flush())) return false;
    if (this.#bytesLeft < MAX_OUTCOME_BYTES) {
      const sentence = 'The answer holds no more outcomes: this record and those after it were not looked at.';
      return this.#end(new Failure('resource-exhausted', 'TOO_MANY_OUTCOMES', sentence));
    }
    this.#bytesLeft -= MAX_OUTCOME_BYTES;
    this.#batch.push(receive(record));
    this.#batchBytes += record instanceof WireRequest ? record.byteLength : 0;
    const isFull = this.#batch.length >= RECORDS_PER_BATCH || this.#batchBytes >= BYTES_PER_BATCH;
    return !isFull || this.flush();
  }

  /** The caller sends no more, and not because all is sent. @throws Failure why, when there is nothing else to tell */
  async cutOff(why: Failure): Promise<void> {
    if (this.response.endedEarly) return;
    if (this.response.outcomes.length + this.#batch.length === 0) throw why;
    await this.#end(why);
  }

  /**
   * Enrols what has been taken.
   * @param isLast - there is no record after it
   * @returns false: the stream has ended, for the store failed
   */
  async flush(isLast = false): Promise<boolean> {
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
      // Nothing was enrolled, so the call itself can say so.
      if (this.response.enrolledCount === 0) throw failed;
      for (const [i, { clientRequestId }] of batch.entries()) {
        const own = prepared[i];
        this.#note(clientRequestId, own instanceof Failure ? own : failed);
      }
    }
    for (const { record } of batch) doneWith(record);
    return failed === undefined || isLast || this.#end(failed);
  }

  /** Tells why the stream ends, in the place of the first record that was not looked at. */
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

/** What is wrong with one record is told in its place. */
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

/** Decodes one record after the other, so that others get their turn, and brings all of them into the kernels' form. */
async function prepareBatch(
  service: EnrolmentDependencies,
  batch: readonly Received[],
): Promise<(PreparedEnrolment | Failure)[]> {
  const decoded: (DecodedEnrolment | Failure)[] = [];
  for (const { request } of batch) {
    await refusing.take(() => undefined);
    decoded.push(request instanceof Failure ? request : await decodeRequest(service, request).catch(asFailure));
  }
  return Promise.all(
    decoded.map(async (one) => (one instanceof Failure ? one : packEnrolment(service, one).catch(asFailure))),
  );
}

/**
 * @returns for each record the subject, or why it was refused; and why the gallery did not follow, when it did not
 * @throws Failure when the transaction failed
 */
async function storeBatch(
  service: EnrolmentDependencies,
  prepared: readonly (PreparedEnrolment | Failure)[],
  response: EnrollStreamResponse,
  asker: Asker,
): Promise<{ outcomes: (EnrolledRecord | Failure)[]; unfollowed: Failure | undefined }> {
  const accepted = prepared.filter((one): one is PreparedEnrolment => !(one instanceof Failure));
  const wanted = accepted.map(({ subject }) => service.follower.newAmong(subject.galleries));
  const stored = accepted.length === 0 ? [] : await service.store.enrollMany(accepted, asker);
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
      // They are enrolled all the same, and will be found as soon as the gallery follows.
      unfollowed = asFailure(thrown);
    }
  }
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
