import { once } from 'node:events';
import { availableParallelism, loadavg } from 'node:os';
import { Worker } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';
import { status as Code } from '@grpc/grpc-js';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contract } from '../../src/contract/contract.ts';
import {
  EnrollRequest,
  EnrollStreamRequest,
  EnrollStreamResponse,
} from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import {
  IdentifyRequest,
  IdentifyStreamRequest,
  IdentifyStreamResponse,
  VerifyRequest,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { Status } from '../../src/contract/generated/google/rpc/status.ts';
import { readStatus, type ReceivedStatus } from '../../src/api/status.ts';
import { encodeIso197942 } from '../../src/templates/iso-19794-2-2005.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import type { Attack, Attacked } from './hostile-caller.ts';
import {
  call,
  enrolRequest,
  identifyRequest,
  runService,
  samplesOf,
  verifyRequest,
  type RunningService,
  metricsOf,
} from './running-service.ts';
import { frame } from './raw-call.ts';
import { field, fullOfEmptyValues, repeatedFields } from '../contract/wire-messages.ts';

/** Longest acceptable wait of another caller during the worst messages, in milliseconds. */
const BOUND_MS = 100;
/** Time limit of tests that send much, and repeat it on a busy machine. */
const MANY_MS = 60_000;
const MAX_MESSAGE_BYTES = 4_194_304;
/** Limit for all trailers of a call: many clients accept no more than 8 KiB of headers. */
const MAX_TRAILER_BYTES = 8192;

let cluster: TestCluster;
let running: RunningService;
let caller: Worker;

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase());
  const { grpcPort, httpPort } = running.service;
  caller = new Worker(new URL('hostile-caller.ts', import.meta.url), {
    workerData: { grpcPort, httpPort, ...running.headers },
  });
});
afterAll(async () => {
  await caller.terminate();
  await running.stop();
  await cluster.stop();
});

const methods = [...contract().files]
  .filter(({ proto }) => proto.package === 'ridgewatch.v1')
  .flatMap(({ services }) => services.flatMap((service) => service.methods))
  .map((method) => ({
    path: `/${method.parent.typeName}/${method.name}`,
    name: `${method.parent.name}/${method.name}`,
    method,
  }));

let previous: Promise<unknown> = Promise.resolve();

/** Attacks run in sequence: a test that timed out must not leave its answer to the next one. */
function attack(path: string, bytes: Uint8Array, times = 1, how: Partial<Attack> = {}): Promise<Attacked> {
  const mine = previous.then(() => attackNow(path, bytes, times, how));
  previous = mine.catch(() => undefined);
  return mine;
}

async function attackNow(path: string, bytes: Uint8Array, times: number, how: Partial<Attack>): Promise<Attacked> {
  const answered = once(caller, 'message');
  caller.postMessage({ path, bytes, times, ...how } satisfies Attack);
  const [result] = (await answered) as [Attacked | { error: string }];
  if ('error' in result) throw new Error(result.error);
  return result;
}

/** The status of a call, or of the single record or search in its stream. */
function statusOf(path: string, { trailers, messages }: Attacked): ReceivedStatus {
  const details = trailers['grpc-status-details-bin'];
  if (details !== undefined) return readStatus(Status.decode(Buffer.from(details, 'base64')));
  const [message] = messages;
  const outcome =
    message === undefined
      ? undefined
      : path.endsWith('/IdentifyStream')
        ? IdentifyStreamResponse.decode(message).outcome
        : path.endsWith('/EnrollStream')
          ? EnrollStreamResponse.decode(message).outcomes[0]?.outcome
          : undefined;
  if (outcome?.$case === 'error') return readStatus(outcome.value);
  return {
    code: Number(trailers['grpc-status']),
    message: trailers['grpc-message'] ?? '',
    reason: undefined,
    metadata: {},
    violations: [],
    retryAfterMs: undefined,
  };
}

/** Number of log lines about calls of a method. */
const linesAbout = (name: string) =>
  running.log.filter((line) => (JSON.parse(line) as { method?: string }).method === name).length;

async function counted(): Promise<number> {
  const text = await metricsOf(running);
  const figures = [...text.matchAll(/^ridgewatch_refused_total\{.*\} (\d+)$/gm)];
  return figures.reduce((sum, [, figure]) => sum + Number(figure), 0);
}

/** Longest time that this thread, which runs the service, works without yielding: its own CPU time, in ms. */
async function longestTurn(during: Promise<unknown>): Promise<number> {
  let [longest, over] = [0, false];
  const end = () => void (over = true);
  during.then(end, end);
  const used = () => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  };
  // A call that is never answered fails its test: it must not keep the file from its end.
  const until = performance.now() + MANY_MS;
  for (let before = used(); !over && performance.now() < until;) {
    await new Promise(setImmediate);
    const now = used();
    longest = Math.max(longest, now - before);
    before = now;
  }
  return longest;
}

/**
 * How long others wait while one caller sends. A stall of the service happens every time, a stall of the machine only
 * sometimes. Several tries are made and the best counts; the wait for an idle service is subtracted from it.
 */
async function worstWait(path: string, bytes: Uint8Array, times = 1, how: Partial<Attack> = {}): Promise<Wait> {
  let best: Wait | undefined;
  for (
    let attempt = 0;
    attempt < 5 && (best === undefined || best.livezMs > BOUND_MS / 2 || best.turnMs > BOUND_MS / 2);
    attempt++
  ) {
    const idle = await attack('/ridgewatch.v1.Operations/GetStatus', Buffer.alloc(0));
    const attacked = attack(path, bytes, times, how);
    const turnMs = await longestTurn(attacked);
    const last = await attacked;
    const livezMs = Math.max(0, last.worstMs - idle.worstMs);
    if (best === undefined || Math.max(livezMs, turnMs) < Math.max(best.livezMs, best.turnMs))
      best = { livezMs, turnMs, last };
  }
  if (best === undefined) throw new Error('nothing was sent');
  return best;
}

/** Runnable threads per core: on a busy machine everything takes longer by this factor. */
function crowding(): number {
  return Math.max(1, (loadavg()[0] ?? 0) / availableParallelism());
}

interface Wait {
  readonly livezMs: number;
  readonly turnMs: number;
  readonly last: Attacked;
}

function fingerRecord(views: number, minutiae: number, areas: number): Buffer {
  return Buffer.from(
    encodeIso197942({
      captureEquipment: 0,
      imageWidth: 500,
      imageHeight: 500,
      xResolution: 197,
      yResolution: 197,
      angleUnitsPerTurn: 256,
      views: Array.from({ length: views }, (_, view) => ({
        position: ((view % 10) + 1) as 1,
        viewNumber: Math.floor(view / 10),
        impressionType: 0,
        quality: 50,
        minutiae: Array.from({ length: minutiae }, (_, i) => ({
          type: 1 as const,
          x: (i * 37 + view) % 500,
          y: (i * 91) % 500,
          angle: (i * 11) % 256,
          quality: 50,
        })),
        extendedData: Array.from({ length: areas }, () => ({ type: 0x100, data: new Uint8Array(0) })),
      })),
    }),
  );
}

describe('while one caller sends the worst there is', () => {
  const waits: { readonly what: string; readonly wait: Wait }[] = [];
  afterAll(() => {
    for (const figure of ['livezMs', 'turnMs'] as const) {
      const worst = waits.toSorted((a, b) => b.wait[figure] - a.wait[figure])[0];
      console.log(`${figure}: at most ${worst?.wait[figure].toFixed(0)} ms, beside ${worst?.what}`);
    }
  });
  const expectNobodyWaits = (what: string, wait: Wait) => {
    waits.push({ what, wait });
    expect(wait.turnMs).toBeLessThan(BOUND_MS);
    expect(wait.livezMs).toBeLessThan(BOUND_MS * crowding());
  };

  const repeated = methods.flatMap(({ path, name, method }) =>
    repeatedFields(method.input).map((one): [string, string, string, Buffer] => [
      name,
      one.name,
      path,
      fullOfEmptyValues(one, MAX_MESSAGE_BYTES - 64),
    ]),
  );

  it.each(repeated)(
    '%s full of %s is refused with that field, and no other caller waits',
    async (name, field, path, bytes) => {
      const wait = await worstWait(path, bytes);
      const { last } = wait;
      expect(statusOf(path, last)).toMatchObject({ code: Code.INVALID_ARGUMENT, reason: 'TOO_MANY_VALUES' });
      expect(statusOf(path, last).violations[0]?.field).toBe(field);
      expectNobodyWaits(`${name} full of ${field}`, wait);
    },
  );

  const full = Array.from({ length: 31 }, () => ({ ...samplesOf(1, 0)[0], data: fingerRecord(1, 255, 15_700) }));
  const views = [{ ...samplesOf(1, 0)[0], data: fingerRecord(32, 255, 0) }];
  it.each<[string, string, () => Uint8Array]>([
    ['the largest samples', '/ridgewatch.v1.Gallery/Enroll', () => EnrollRequest.encode(enrolRequest(full)).finish()],
    ['the most views', '/ridgewatch.v1.Gallery/Enroll', () => EnrollRequest.encode(enrolRequest(views)).finish()],
    [
      'the most views',
      '/ridgewatch.v1.Identification/Identify',
      () => IdentifyRequest.encode(identifyRequest(views)).finish(),
    ],
    [
      'the largest samples on both sides',
      '/ridgewatch.v1.Identification/Verify',
      () =>
        VerifyRequest.encode(
          verifyRequest(full.slice(16), { $case: 'referenceSamples', value: { samples: full.slice(16) } }),
        ).finish(),
    ],
  ])('no other caller waits for %s in an accepted request: %s', async (what, path, bytes) => {
    const wait = await worstWait(path, bytes());
    expect(wait.last.trailers['grpc-status']).toBe('0');
    expectNobodyWaits(`${path} ${what}`, wait);
  });

  it(
    'no other caller waits for ten of the largest enrolments at once',
    async () => {
      const bytes = EnrollRequest.encode(enrolRequest(full)).finish();
      expectNobodyWaits('ten enrolments', await worstWait('/ridgewatch.v1.Gallery/Enroll', bytes, 10));
    },
    MANY_MS,
  );
});

describe('while one caller floods the service', () => {
  const waits: string[] = [];
  afterAll(() => console.log(waits.join('\n')));

  const gzip = frame(gzipSync(Buffer.alloc(MAX_MESSAGE_BYTES - 64)), 1);
  it.each<[string, string, Uint8Array, number, Partial<Attack>]>([
    ['bombs', 'Identification/Identify', gzip, 300, { headers: { 'grpc-encoding': 'gzip' } }],
    ['empty records', 'Gallery/EnrollStream', Buffer.alloc(1_000_000), 1, {}],
    ['empty searches', 'Identification/IdentifyStream', Buffer.alloc(50_000), 1, {}],
    ['a thousand streams', 'Identification/IdentifyStream', Buffer.alloc(0), 1000, {}],
    ['calls', 'Operations/GetStatus', Buffer.alloc(5), 300, {}],
    ['streams of empty records', 'Gallery/EnrollStream', Buffer.alloc(250), 300, {}],
  ])(
    '%s: no other caller waits',
    async (what, name, bytes, times, how) => {
      const connections = Math.min(times, 10);
      const wait = await worstWait(`/ridgewatch.v1.${name}`, bytes, times, { ...how, isBody: true, connections });
      waits.push(`${what}: livez ${wait.livezMs.toFixed(0)} ms, turn ${wait.turnMs.toFixed(0)} ms`);
      expect(wait.last.codes['none']).toBeUndefined();
      expect(wait.turnMs).toBeLessThan(BOUND_MS);
      expect(wait.livezMs).toBeLessThan(BOUND_MS * crowding());
    },
    MANY_MS,
  );

  it(
    'reflection requests: no other caller waits',
    async () => {
      const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
      const wait = await worstWait(path, Buffer.alloc(50_000), 1, { isBody: true });
      waits.push(`reflection: livez ${wait.livezMs.toFixed(0)} ms, turn ${wait.turnMs.toFixed(0)} ms`);
      expect(wait.turnMs).toBeLessThan(BOUND_MS);
      expect(wait.livezMs).toBeLessThan(BOUND_MS * crowding());
    },
    MANY_MS,
  );
});

/** Log lines per method and reason that are written in ten seconds, see line-limit.ts. */
const LINES_IN_FULL = 100;

describe('bytes that are not a valid message', () => {
  const valid: Record<string, Uint8Array> = {
    'Gallery/Enroll': EnrollRequest.encode(enrolRequest(samplesOf(5, 0), { clientRequestId: 'x' })).finish(),
    'Gallery/EnrollStream': EnrollStreamRequest.encode({ record: enrolRequest(samplesOf(5, 0)) }).finish(),
    'Identification/Identify': IdentifyRequest.encode(identifyRequest(samplesOf(5, 0))).finish(),
    'Identification/IdentifyStream': IdentifyStreamRequest.encode({
      request: identifyRequest(samplesOf(5, 0), { clientRequestId: 'q' }),
    }).finish(),
    'Identification/Verify': VerifyRequest.encode(
      verifyRequest(samplesOf(5, 0), { $case: 'subjectId', value: '00000000-0000-4000-8000-000000000000' }),
    ).finish(),
    'Gallery/ExpungeSubject': Buffer.concat([
      field(1, Buffer.from('00000000-0000-4000-8000-000000000000')),
      field(2, Buffer.from('test')),
    ]),
  };

  it(
    'are never an internal error, and each is logged and counted',
    async () => {
      const damage = fc.array(fc.record({ at: fc.nat(), byte: fc.nat(255) }), { minLength: 1, maxLength: 3 });
      const one = fc.oneof(
        fc.record({ method: fc.constantFrom(...methods), bytes: fc.uint8Array({ maxLength: 40 }) }),
        fc.tuple(fc.constantFrom(...methods.filter(({ name }) => name in valid)), damage).map(([method, changes]) => {
          const bytes = Uint8Array.from(valid[method.name] ?? []);
          for (const { at, byte } of changes) bytes[at % bytes.length] = byte;
          return { method, bytes };
        }),
      );
      await fc.assert(
        fc.asyncProperty(one, async ({ method: { path, name }, bytes }) => {
          const [lines, refusals] = [linesAbout(name), await counted()];
          const attacked = await attack(path, bytes);
          const { code, reason } = statusOf(path, attacked);
          expect([Code.INTERNAL, Code.UNKNOWN] as number[]).not.toContain(code);
          // Other tests here exhaust the line limit of ten seconds; the refusals beyond it are only counted.
          const more = linesAbout(name) - lines;
          if (lines < LINES_IN_FULL) expect(more).toBe(1);
          else expect(more).toBeLessThanOrEqual(1);
          if (Number(Code.OK) === code) return;
          expect(reason).toMatch(/^[A-Z_]+$/);
          expect(await counted()).toBe(refusals + 1);
        }),
        { numRuns: 150 },
      );
    },
    MANY_MS,
  );

  it.each<[string, string, Buffer, string]>([
    [
      'a zero character in the reason of an expunction',
      'Gallery/ExpungeSubject',
      field(2, Buffer.from('a\0b')),
      'reason',
    ],
    ['a version beyond what numbers tell', 'Gallery/UpdateSubject', field(2, 2n ** 60n), 'expected_version'],
    ['a time of the year -1', 'Gallery/Enroll', field(1, field(6, field(1, -99_999_999_999n))), 'data.expire_time'],
    ['half of a character', 'Gallery/GetSubject', field(1, Buffer.from([0xc3])), 'subject_id'],
  ])('%s is refused with its field', async (_, name, bytes, where) => {
    const path = `/ridgewatch.v1.${name}`;
    const base =
      name === 'Gallery/ExpungeSubject'
        ? field(1, Buffer.from('00000000-0000-4000-8000-000000000000'))
        : Buffer.alloc(0);
    const status = statusOf(path, await attack(path, Buffer.concat([base, bytes])));
    expect(status.code).toBe(Code.INVALID_ARGUMENT);
    expect(status.violations.map((violation) => violation.field)).toContain(where);
  });
});

describe('a refusal', () => {
  it('fits the header limit of clients, however many faults it reports', async () => {
    const wrong = Buffer.alloc(4000, 'ÿ');
    const data = Buffer.concat([
      field(1, wrong),
      field(2, wrong),
      ...Array.from({ length: 32 }, () => field(3, wrong)),
      ...Array.from({ length: 32 }, () => field(4, wrong)),
      field(5, 99),
    ]);
    const { trailers } = await attack(
      '/ridgewatch.v1.Gallery/Enroll',
      Buffer.concat([field(1, data), field(3, wrong)]),
    );
    expect(trailers['grpc-status']).toBe(String(Code.INVALID_ARGUMENT));
    const bytes = Object.entries(trailers).reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
    expect(bytes).toBeLessThan(MAX_TRAILER_BYTES);
    const status = readStatus(Status.decode(Buffer.from(trailers['grpc-status-details-bin'] ?? '', 'base64')));
    const named = status.violations.length;
    expect(named).toBeGreaterThan(3);
    expect(Number(status.metadata.violations_left_out)).toBeGreaterThan(20);
    expect(status.message).toContain(`and ${status.metadata.violations_left_out} more`);
  });
});

describe('a record of many views', () => {
  it('is accepted with as many views as a subject may have references, and refused with one more', async () => {
    const [sample] = samplesOf(1, 0);
    const enroll = (views: number) =>
      call(
        running.gallery,
        running.gallery.enroll.bind(running.gallery),
        enrolRequest([{ ...sample, data: fingerRecord(views, 40, 0) }]),
      );
    expect((await enroll(32)).subject?.references).toHaveLength(32);
    await expect(enroll(33)).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT, reason: 'TOO_MANY_VIEWS' });
  });
});
