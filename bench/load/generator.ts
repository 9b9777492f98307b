/**
 * A process of its own that sends searches at times fixed beforehand, whatever becomes of those before, and counts the
 * time of each from when it was to be sent: a service that stops for a while cannot hide it.
 */
import { credentials, Metadata, status as Code, type ServiceError } from '@grpc/grpc-js';
import { Random } from '../../fixtures/random.ts';
import { IdentificationClient } from '../../src/api/generated/ridgewatch/v1/identification.ts';
import { Modality, type Sample } from '../../src/api/generated/ridgewatch/v1/sample.ts';
import { readServiceError } from '../../src/api/status.ts';
import { demoPerson, demoSamples } from '../../src/demo-gallery.ts';
import { identifyRequest } from '../identify-request.ts';

export interface LoadOrder {
  readonly address: string;
  readonly seed: number;
  /** Calls a second. */
  readonly rate: number;
  readonly seconds: number;
  /** Of each call, from when it is to be sent. */
  readonly deadlineMs: number;
  /** Enrolled people, from 0; half of the searches are for some of them. */
  readonly subjects: number;
  /** Whether partial answers will do. */
  readonly allowPartial: boolean;
}

export interface LoadReport {
  readonly sent: number;
  /** Of the calls that were answered with a list, from when they were to be sent. */
  readonly answeredMs: readonly number[];
  /** Those of them that say that less than everything was searched. */
  readonly partial: number;
  /** Of those that were refused or failed: reason, and how many. */
  readonly failures: Readonly<Record<string, number>>;
  /** Of those refused by RESOURCE_EXHAUSTED: how long the answer took, and what it said of trying again; NaN: nothing. */
  readonly refusedMs: readonly number[];
  readonly retryAfterMs: readonly number[];
  /** Searches for enrolled people that were answered, and how many of these had a candidate. */
  readonly mated: number;
  readonly found: number;
  /** How much later than planned the last of the thousand was sent: the generator itself must not be the bottleneck. */
  readonly latestSendMs: number;
}

/** Searches made beforehand. */
const PROBES = 60;
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

async function run({
  address,
  seed,
  rate,
  seconds,
  deadlineMs,
  subjects,
  allowPartial,
}: LoadOrder): Promise<LoadReport> {
  const random = new Random(seed);
  const probes = Array.from({ length: PROBES }, (_, i) => ({
    mated: i % 2 === 0,
    samples: fingersOf(i % 2 === 0 ? random.below(subjects) : subjects + random.below(1_000_000)),
  }));
  const clients = Array.from(
    { length: CLIENTS },
    () => new IdentificationClient(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 }),
  );
  await Promise.all(
    clients.map((client) => new Promise<void>((done) => client.waitForReady(Date.now() + 10_000, () => done()))),
  );
  const answeredMs: number[] = [];
  const refusedMs: number[] = [];
  const retryAfterMs: number[] = [];
  const failures: Record<string, number> = {};
  let [partial, mated, found, latestSendMs] = [0, 0, 0, 0];
  const arrivals = arrivalTimes(rate, seconds, random);
  const start = performance.now() + 100;
  const startTime = Date.now() + 100;
  const calls = arrivals.map(async (at, i) => {
    await until(start + at);
    const planned = start + at;
    latestSendMs = Math.max(latestSendMs, performance.now() - planned);
    const probe = probes[i % PROBES];
    const request = identifyRequest(probe.samples, { allowPartial });
    await new Promise<void>((done) => {
      clients[i % CLIENTS].identify(
        request,
        new Metadata(),
        { deadline: startTime + at + deadlineMs },
        (error, response) => {
          const took = performance.now() - planned;
          if (error === null) {
            answeredMs.push(took);
            if (response.searchedFraction < 1) partial++;
            if (probe.mated) {
              mated++;
              if (response.candidates.length > 0) found++;
            }
          } else note(error, took);
          done();
        },
      );
    });
  });
  const note = (error: ServiceError, took: number) => {
    const name = Code[error.code];
    failures[name] = (failures[name] ?? 0) + 1;
    if (error.code !== Code.RESOURCE_EXHAUSTED) return;
    refusedMs.push(took);
    retryAfterMs.push(readServiceError(error).retryAfterMs ?? NaN);
  };
  await Promise.all(calls);
  for (const client of clients) client.close();
  return { sent: arrivals.length, answeredMs, partial, failures, refusedMs, retryAfterMs, mated, found, latestSendMs };
}

/** Milliseconds from the start: a Poisson process, as of people who do not know of each other. */
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

function fingersOf(person: number): Sample[] {
  return demoSamples(demoPerson(person), 1).filter(({ modality }) => modality === Modality.FINGER);
}
