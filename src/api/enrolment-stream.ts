import { Failure } from '../failure.ts';
import { prepareEnrolment, type EnrolmentDependencies, type PreparedEnrolment } from './enrolment.ts';
import type { EnrollOutcome, EnrollRequest, EnrollStreamResponse } from './generated/ridgewatch/v1/gallery.ts';
import { asFailure, toStatus } from './status.ts';
import { warningCodes } from './wire-warnings.ts';

/** One message of the stream. */
export interface StreamedRecord {
  readonly record?: EnrollRequest | undefined;
}

/** Records that share a transaction: enough to make the commit cheap, few enough to keep it short. */
const RECORDS_PER_BATCH = 100;

type Prepared = { readonly prepared: PreparedEnrolment } | { readonly failure: Failure };

/**
 * Enrols the records of a stream, batch by batch. A record that is refused does not touch the others; when the stream
 * breaks off, what was enrolled by then stays enrolled, and can be repeated safely under its client request ids.
 * @throws Failure TOO_MANY_RECORDS; the signal's reason
 */
export async function enrollMany(
  service: EnrolmentDependencies,
  records: AsyncIterable<StreamedRecord>,
  mostRecords: number,
  signal: AbortSignal,
): Promise<EnrollStreamResponse> {
  const response: EnrollStreamResponse = {
    outcomes: [],
    enrolledCount: 0,
    refusedCount: 0,
    galleryVersion: 0,
    newGalleries: [],
  };
  let batch: EnrollRequest[] = [];
  const flush = async () => {
    signal.throwIfAborted();
    const outcomes = await enrollBatch(service, batch, response);
    response.outcomes.push(...outcomes);
    batch = [];
  };
  for await (const { record } of records) {
    if (response.outcomes.length + batch.length >= mostRecords) {
      const sentence = `A stream may bring at most ${mostRecords} records; those before have been dealt with.`;
      throw new Failure('resource-exhausted', 'TOO_MANY_RECORDS', sentence, { field: 'record' });
    }
    batch.push(record ?? emptyRecord());
    if (batch.length === RECORDS_PER_BATCH) await flush();
  }
  if (batch.length > 0) await flush();
  return response;
}

async function enrollBatch(
  service: EnrolmentDependencies,
  batch: readonly EnrollRequest[],
  response: EnrollStreamResponse,
): Promise<EnrollOutcome[]> {
  const first = response.outcomes.length;
  const prepared = await Promise.all(
    batch.map((request): Promise<Prepared> =>
      prepareEnrolment(service, request).then(
        (done) => ({ prepared: done }),
        (thrown: unknown) => ({ failure: asFailure(thrown) }),
      ),
    ),
  );
  const accepted = prepared.flatMap((item) => ('prepared' in item ? [item.prepared] : []));
  const wanted = accepted.map(({ subject }) => service.follower.newAmong(subject.galleries));
  const stored = accepted.length === 0 ? [] : await service.store.enrollMany(accepted);
  const sequences = stored.flatMap((outcome) => ('failure' in outcome ? [] : [outcome.seq]));
  if (sequences.length > 0) {
    const last = Math.max(...sequences);
    await service.follower.advanceTo(last, new Map(accepted.flatMap(({ packed }) => [...packed])));
    response.galleryVersion = Math.max(response.galleryVersion, last);
    const made = wanted.filter((_, i) => 'subject' in stored[i]).flat();
    response.newGalleries = [...new Set([...response.newGalleries, ...made])].sort();
  }
  let next = 0;
  return prepared.map((item, i): EnrollOutcome => {
    const outcome = 'failure' in item ? item : stored[next++];
    const common = { recordIndex: first + i, clientRequestId: batch[i]?.clientRequestId ?? '' };
    if (outcome !== undefined && !('failure' in outcome)) {
      response.enrolledCount++;
      const warnings = 'prepared' in item ? item.prepared.warnings : [];
      service.countWarnings(warnings);
      return {
        ...common,
        outcome: { $case: 'subjectId', value: outcome.subject.subjectId },
        warnings: warningCodes(warnings),
      };
    }
    const failure = asFailure(outcome?.failure);
    response.refusedCount++;
    service.countRefusal(failure.reason);
    return { ...common, outcome: { $case: 'error', value: toStatus(failure) }, warnings: [] };
  });
}

function emptyRecord(): EnrollRequest {
  return { data: undefined, samples: [], clientRequestId: '' };
}
