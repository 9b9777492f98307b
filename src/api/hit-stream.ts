/** The stream of an agency's hits: from an acknowledged position on, in order, without end. */
import type { ServerWritableStream } from '@grpc/grpc-js';
import type { Grant, RecordFacts } from '../access/grant.ts';
import { Failure } from '../failure.ts';
import type { HitBell } from '../sharing/hit-bell.ts';
import type { HitSource } from '../sharing/hit-source.ts';
import { hitsOf, type Hit } from '../sharing/hit.ts';
import type { WatchHitsRequest, WatchHitsResponse } from '../contract/generated/ridgewatch/v1/sharing.ts';
import { toWireHit } from '../contract/wire-hits.ts';
import { reported, type CallContext, type CallSettings } from './call.ts';
import { followCall } from './followed-call.ts';
import { toServiceError } from './status.ts';
import { sendTaken } from './taken-answers.ts';
import { answerTo, requestOf } from './wire-request.ts';

const METHOD = 'Sharing/WatchHits';
/** Hits read, recorded and sent at a time. */
const BATCH = 100;
/** Time between two looks for new hits without a ring, in milliseconds. */
const POLL_MS = 1000;
/** Time between two signs of life of an idle stream, in milliseconds. */
const LIFE_MS = 15_000;

type Call = ServerWritableStream<WatchHitsRequest, WatchHitsResponse>;

type FindRecord = (subjectId: string) => RecordFacts | undefined;

export interface SharingDependencies {
  readonly hits: HitSource;
  readonly bell: HitBell;
  /** What policies decide by about a subject as it is now; undefined: it is not in the gallery. */
  readonly findRecord: FindRecord;
  /** @throws Failure while the gallery is not searchable */
  requireReady(): void;
}

/** Serves one stream. It ends with its caller, its credential, the service, or a failure of the store. */
export function watchHits(call: Call, service: SharingDependencies, settings: CallSettings): void {
  const followed = followCall(call, settings, false, service.bell.closing);
  void reported(METHOD, followed, settings, (context) => send(call, service, context)).then((outcome) => {
    followed.release();
    if ('failure' in outcome) call.emit('error', toServiceError(outcome.failure));
    else call.end();
  });
}

async function send(call: Call, service: SharingDependencies, context: CallContext): Promise<never> {
  const { hits, bell } = service;
  const { signal } = context;
  const { agency, clientId } = context.principal.client;
  const { afterPosition } = requestOf(call.request);
  context.authorize({ purpose: 'none', galleries: [] });
  service.requireReady();
  if (afterPosition !== undefined) await requirePosition(hits, agency, afterPosition, 'after_position');
  let position = afterPosition ?? (await hits.acknowledgedBy(agency, clientId));
  const tell = (response: WatchHitsResponse) => sendTaken(call, answerTo(call.request, response), signal);
  let lifeAt = 0;
  let sent = 0;
  for (;;) {
    signal.throwIfAborted();
    const rings = bell.ringsOf(agency);
    const rows = await hits.hitsAfter(agency, position, BATCH);
    // Policies may have changed since the last batch.
    const grant = context.authorize({ purpose: 'none', galleries: [] });
    const seen = hitsOf(rows, agency).filter((hit) => maySeeHit(grant, hit, service.findRecord));
    if (seen.length > 0) await context.recordEarly({ subjects: [...new Set(seen.map(({ subjectId }) => subjectId))] });
    for (const hit of seen) await tell({ hit: toWireHit(hit), position: hit.position });
    position = rows.at(-1)?.position ?? position;
    context.note({ hit_count: (sent += seen.length) });
    if (rows.length === BATCH) continue;
    const isIdle = rows.length === 0;
    if (!isIdle || performance.now() >= lifeAt) {
      await tell({ position });
      lifeAt = performance.now() + LIFE_MS;
    }
    await bell.wait(agency, rings, POLL_MS, signal);
  }
}

/**
 * A hit is shown by what the record was when it was found and by what it is now: a record that was classified since is
 * not shown to a client without the clearance. Without its details it tells only that there was one, to its owner.
 */
function maySeeHit(grant: Grant, { subjectId, details }: Hit, findRecord: FindRecord): boolean {
  const now = findRecord(subjectId);
  if (now !== undefined && !grant.sees(now)) return false;
  if (details === undefined) return true;
  const { caveats, provenance } = details;
  return grant.sees({ contributor: grant.client.agency, caveats, provenance });
}

/** @throws Failure POSITION_UNKNOWN: no hit of the agency has this position or a greater one */
export async function requirePosition(hits: HitSource, agency: string, position: number, field: string): Promise<void> {
  if (position <= (await hits.lastPosition(agency))) return;
  const sentence = 'No hit of the agency has reached this position.';
  throw new Failure('invalid-argument', 'POSITION_UNKNOWN', sentence, { field });
}
