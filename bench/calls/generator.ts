/**
 * A separate process that sends calls at times fixed beforehand, independent of earlier calls. Latency counts from the
 * scheduled send time: a stalled service cannot hide its stall.
 */
import { credentials, Metadata, status as Code, type ServiceError } from '@grpc/grpc-js';
import { Random } from '../../src/random.ts';
import { GalleryClient, type EnrollResponse } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import {
  IdentificationClient,
  type IdentifyResponse,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { readServiceError } from '../../src/api/status.ts';
import { benchData } from '../service/subject-data.ts';
import { identifyRequest } from '../service/identify-request.ts';
import { promised } from '../service/process.ts';
import { draw, makeProbes, ONLY_TWO_FINGERS, type Mix, type Probe } from './kinds.ts';
import { channelOf } from '../service/channel.ts';

export interface LoadOptions {
  readonly address: string;
  readonly seed: number;
  /** Calls a second. */
  readonly rate: number;
  readonly seconds: number;
  /** Deadline of each call, from its scheduled send time. */
  readonly deadlineMs: number;
  /** Enrolled people, from 0; half of the searches are mated. */
  readonly subjects: number;
  /** Whether partial answers are accepted. */
  readonly allowPartial: boolean;
  /** Kinds of calls; default: searches with two fingers. */
  readonly mix?: Mix;
}

/** Options for a process that sends calls. */
export interface LoadOrder extends LoadOptions {
  /** Token of the client that calls. */
  readonly token: string;
}

export interface LoadReport {
  readonly sent: number;
  /** Latencies of the answered calls, from the scheduled send time; likewise by kind. */
  readonly answeredMs: readonly number[];
  readonly byKind: Readonly<Record<string, readonly number[]>>;
  /** Answered calls with a partial search. */
  readonly partial: number;
  /** Refused and failed calls: number by reason. */
  readonly failures: Readonly<Record<string, number>>;
  /** Calls refused with RESOURCE_EXHAUSTED: latency, and the retry time in the answer (NaN: none). */
  readonly refusedMs: readonly number[];
  readonly retryAfterMs: readonly number[];
  /** Answered mated searches, and those of them with a candidate. */
  readonly mated: number;
  readonly found: number;
  /** Longest delay of a send behind its schedule: the generator must not be the bottleneck. */
  readonly latestSendMs: number;
}

/** Connections: one carries a hundred calls at a time. */
const CLIENTS = 8;

process.on('message', (order: LoadOrder) => {
  run(order).then(
    (report) => process.send?.(report),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});

async function run(order: LoadOrder): Promise<LoadReport> {
  const { address, token, seed, rate, seconds, deadlineMs, subjects, allowPartial, mix = ONLY_TWO_FINGERS } = order;
  const random = new Random(seed);
  const probes = makeProbes(mix, subjects, random);
  const local = { ...channelOf(address, token), 'grpc.use_local_subchannel_pool': 1 };
  const clients = Array.from(
    { length: CLIENTS },
    () => new IdentificationClient(address, credentials.createInsecure(), local),
  );
  const gallery = new GalleryClient(address, credentials.createInsecure(), local);
  await Promise.all(
    [...clients, gallery].map(
      (client) => new Promise<void>((done) => client.waitForReady(Date.now() + 10_000, () => done())),
    ),
  );
  const answeredMs: number[] = [];
  const byKind: Record<string, number[]> = {};
  const refusedMs: number[] = [];
  const retryAfterMs: number[] = [];
  const failures: Record<string, number> = {};
  const enrolled: string[] = [];
  let [partial, mated, found, latestSendMs] = [0, 0, 0, 0];
  const calls = arrivalTimes(rate, seconds, random).map((at, i) => {
    const kind = draw(mix, random);
    const all = probes.get(kind) ?? [];
    return { at, i, probe: all[random.below(all.length)] };
  });
  const start = performance.now() + 100;
  const startTime = Date.now() + 100;

  const identify = async (i: number, { samples, mated: isMated }: Probe, deadline: number) => {
    const request = identifyRequest(samples, { allowPartial });
    const { candidates, searchedFraction } = await promised<IdentifyResponse>((callback) =>
      clients[i % CLIENTS].identify(request, new Metadata(), { deadline }, callback),
    );
    if (searchedFraction < 1) partial++;
    if (!isMated) return;
    mated++;
    if (candidates.length > 0) found++;
  };
  const enrol = async (i: number, { samples }: Probe, deadline: number) => {
    const name = `load-${process.pid}-${startTime}-${i}`;
    const request = { data: { ...benchData(), externalId: name }, samples, clientRequestId: name };
    const { subject } = await promised<EnrollResponse>((callback) =>
      gallery.enroll(request, new Metadata(), { deadline }, callback),
    );
    enrolled.push(subject?.subjectId ?? '');
  };
  const send = async ({ at, i, probe }: (typeof calls)[number]) => {
    await until(start + at);
    const planned = start + at;
    latestSendMs = Math.max(latestSendMs, performance.now() - planned);
    try {
      await (probe.kind === 'enrolment' ? enrol : identify)(i, probe, startTime + at + deadlineMs);
      const took = performance.now() - planned;
      answeredMs.push(took);
      (byKind[probe.kind] ??= []).push(took);
    } catch (error) {
      note(error as ServiceError, performance.now() - planned);
    }
  };
  const note = (error: ServiceError, took: number) => {
    const name = Code[error.code] ?? 'UNKNOWN';
    failures[name] = (failures[name] ?? 0) + 1;
    if (error.code !== Code.RESOURCE_EXHAUSTED) return;
    refusedMs.push(took);
    retryAfterMs.push(readServiceError(error).retryAfterMs ?? NaN);
  };
  await Promise.all(calls.map(send));
  // The next run must find the same gallery.
  for (const subjectId of enrolled)
    await promised((callback) => gallery.expungeSubject({ subjectId, reason: 'bench' }, callback));
  for (const client of [...clients, gallery]) client.close();
  const sent = calls.length;
  return { sent, answeredMs, byKind, partial, failures, refusedMs, retryAfterMs, mated, found, latestSendMs };
}

/** Arrival times in milliseconds from the start: a Poisson process, as of independent callers. */
function arrivalTimes(rate: number, seconds: number, random: Random): number[] {
  const times: number[] = [];
  for (let at = 0; ;) {
    at += (-Math.log(1 - random.uniform()) / rate) * 1000;
    if (at >= seconds * 1000) return times;
    times.push(at);
  }
}

function until(time: number): Promise<void> {
  return new Promise((done) => setTimeout(done, Math.max(0, time - performance.now())));
}
