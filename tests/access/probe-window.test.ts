import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { facesOfPeople, quantised } from '../../bench/people/real-faces.ts';
import { packedFingersOf } from '../../bench/people/sought-people.ts';
import { createPerson } from '../../fixtures/person.ts';
import { readPrints } from '../../index-builder/prints/labelled-prints.ts';
import { LikenessCoder } from '../../src/access/likeness-code.ts';
import {
  CALLS_TO_ALARM,
  CALLS_TO_ALARM_OF_AGENCY,
  CALLS_TO_DISABLE,
  KEPT_MS,
  ProbeWindow,
  RECENT_MS,
  type ProbeAlarm,
} from '../../src/access/probe-window.ts';
import { SteadyClock } from '../../src/access/steady-clock.ts';
import type { Failure } from '../../src/failure.ts';
import { ReferenceEncoder } from '../../src/matching/kernels/reference-encoder.ts';
import { vectorOf } from '../../src/matching/kernels/similarity.ts';
import { Random } from '../../src/random.ts';
import { toFingerTemplate } from '../../src/templates/normalise.ts';
import { sharedData } from '../shared-data.ts';

const key = new Uint8Array(32).fill(3);
const gate = { clientId: 'gate', agency: 'police' };
const person = (n: number, capture = 0) => quantised(createPerson(0x9a7e, n).faceEmbedding(capture));

class Bench {
  nowMs = 0;
  readonly alarms: ProbeAlarm[] = [];
  readonly disabled: ProbeAlarm[] = [];
  readonly window: ProbeWindow;

  constructor(maxBytes?: number) {
    this.window = new ProbeWindow(
      { alarm: (alarm) => this.alarms.push(alarm), disable: (alarm) => this.disabled.push(alarm) },
      new SteadyClock(() => this.nowMs),
      new LikenessCoder(key),
      maxBytes,
    );
  }

  /** @returns the wait of a refusal */
  call(vectors: readonly Int8Array[], client = gate, trait = 'face:synthetic', afterMs = 1000): number | undefined {
    this.nowMs += afterMs;
    try {
      this.window.admit(
        client,
        vectors.map((vector) => ({ trait, vector })),
      );
      return undefined;
    } catch (thrown) {
      expect(thrown).toMatchObject({ kind: 'resource-exhausted', reason: 'PROBES_ALIKE' });
      return (thrown as Failure).detail.retryAfterMs;
    }
  }
}

/** Probes around a face, `step` of its length away, each another. */
function around(centre: Int8Array, step: number, random: Random): Int8Array {
  const length = Math.hypot(...centre);
  const noise = Array.from(centre, () => random.normal());
  const scale = (step * length) / Math.hypot(...noise);
  return quantised(Float32Array.from(centre, (value, k) => value + scale * noise[k]));
}

describe('the window of recent probes', () => {
  it('raises an alarm within fifty calls near one face, whatever the step and the noise between', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 0.7, noNaN: true }), fc.nat(), (step, seed) => {
        const bench = new Bench();
        const random = new Random(seed);
        const centre = person(seed % 1000);
        for (let call = 0; call <= CALLS_TO_ALARM; call++) {
          bench.call([around(centre, step, random)]);
          expect(bench.alarms).toHaveLength(call < CALLS_TO_ALARM ? 0 : 1);
          // Other travellers pass meanwhile.
          bench.call([person(2000 + call)]);
        }
        expect(bench.alarms[0]).toEqual({ ...gate, scope: 'client', calls: CALLS_TO_ALARM });
      }),
      { numRuns: 15 },
    );
  });

  it('slows down by growing delays, for like probes only, and then disables', () => {
    const bench = new Bench();
    const random = new Random(1);
    for (let i = 0; i <= CALLS_TO_ALARM; i++) expect(bench.call([around(person(1), 0.2, random)])).toBeUndefined();
    const delays: number[] = [];
    for (let strikes = 1; strikes <= CALLS_TO_DISABLE;) {
      const wait = bench.call([around(person(1), 0.2, random)], gate, 'face:synthetic', 1);
      strikes++;
      if (wait !== undefined) delays.push(wait);
      expect(bench.call([person(5000 + strikes)], gate, 'face:synthetic', 0)).toBeUndefined();
      bench.nowMs += wait ?? 0;
      expect(bench.disabled).toHaveLength(strikes > CALLS_TO_DISABLE ? 1 : 0);
    }
    // The call after a wait is allowed, and doubles the next.
    expect(delays.length).toBeGreaterThan(20);
    for (let i = 1; i < delays.length; i++) expect(delays[i]).toBeGreaterThanOrEqual(delays[i - 1]);
    expect(delays[0]).toBeLessThanOrEqual(1000);
    expect(Math.max(...delays)).toBeLessThanOrEqual(600_000);
    expect(delays[8]).toBeGreaterThan(100_000);
    expect(bench.alarms.filter(({ scope }) => scope === 'client')).toHaveLength(1);
  });

  it('counts calls, not samples, and does not count the very same probe again', () => {
    const bench = new Bench();
    const random = new Random(2);
    for (let i = 0; i < CALLS_TO_ALARM; i++)
      bench.call(Array.from({ length: 16 }, () => around(person(1), 0.2, random)));
    for (let i = 0; i < 200; i++) bench.call([person(9)]);
    expect(bench.alarms).toHaveLength(0);
    bench.call([around(person(1), 0.2, random)]);
    expect(bench.alarms).toHaveLength(1);
  });

  it('finds like probes among the other samples of a call', () => {
    const bench = new Bench();
    const random = new Random(3);
    for (let i = 0; i <= CALLS_TO_ALARM; i++) {
      const others = Array.from({ length: 8 }, (_, k) => person(3000 + 8 * i + k));
      bench.call([...others, around(person(1), 0.3, random)]);
    }
    expect(bench.alarms).toHaveLength(1);
  });

  it('remembers like probes for a day, so that patience does not help', () => {
    const bench = new Bench();
    const random = new Random(4);
    const each = Math.floor(RECENT_MS * 0.9);
    for (let i = 0; i < CALLS_TO_ALARM + 2; i++)
      bench.call(
        [around(person(1), 0.3, random)],
        gate,
        'face:synthetic',
        Math.min(each, KEPT_MS / (CALLS_TO_ALARM + 4)),
      );
    expect(bench.alarms).toHaveLength(1);
  });

  it('forgets a face after the day', () => {
    const bench = new Bench();
    const random = new Random(5);
    for (let day = 0; day < 5; day++) {
      for (let i = 0; i < CALLS_TO_ALARM; i++) bench.call([around(person(1), 0.3, random)]);
      bench.nowMs += KEPT_MS;
    }
    expect(bench.alarms).toHaveLength(0);
  });

  it('watches the clients of an agency together, and agencies apart', () => {
    const bench = new Bench();
    const random = new Random(6);
    for (let i = 0; i <= CALLS_TO_ALARM_OF_AGENCY; i++) {
      const client = { clientId: `gate-${i % 10}`, agency: 'police' };
      expect(bench.alarms).toHaveLength(0);
      bench.call([around(person(1), 0.3, random)], client);
    }
    expect(bench.alarms).toMatchObject([{ scope: 'agency', agency: 'police' }]);
    const apart = new Bench();
    for (let i = 0; i < 200; i++)
      apart.call([around(person(1), 0.3, random)], { clientId: `g-${i % 20}`, agency: `a-${i % 20}` });
    expect(apart.alarms).toHaveLength(0);
  });

  it('knows after a restart that it has alarmed, and disables after as many calls', () => {
    const bench = new Bench();
    const random = new Random(12);
    const near = () => bench.call([around(person(1), 0.3, random)], gate, 'face:synthetic', 0);
    bench.window.noteRefusal(gate, 1000);
    for (const scope of ['client', 'agency'] as const) bench.window.noteAlarm({ ...gate, scope }, 3_600_000);
    for (let i = 0; i < CALLS_TO_DISABLE - 1; i++) bench.window.noteRefusal(gate, 3_000_000);
    for (let i = 0; i <= CALLS_TO_ALARM; i++) {
      expect(bench.disabled).toHaveLength(0);
      near();
    }
    expect(bench.alarms).toHaveLength(0);
    expect(bench.disabled).toMatchObject([{ ...gate, scope: 'client' }]);
    const later = new Bench();
    later.window.noteAlarm({ ...gate, scope: 'client' }, KEPT_MS);
    for (let i = 0; i <= CALLS_TO_ALARM; i++) later.call([around(person(1), 0.3, random)], gate, 'face:synthetic', 0);
    expect(later.alarms).toHaveLength(1);
  });

  it('is not emptied by a clock that is set forward and back', () => {
    const bench = new Bench();
    const random = new Random(8);
    for (let i = 0; i <= CALLS_TO_ALARM; i++)
      bench.call([around(person(1), 0.3, random)], gate, 'face:synthetic', -1000);
    expect(bench.alarms).toHaveLength(1);
  });

  it('keeps within its memory, whatever callers send', () => {
    const most = 600_000;
    const bench = new Bench(most);
    const random = new Random(9);
    const vector = () => Int8Array.from({ length: 64 }, () => random.below(255) - 127);
    for (let i = 0; i < 1500; i++) {
      bench.call([vector(), vector()], { clientId: `c-${i % 50}`, agency: `a-${i % 7}` }, 'face:small', 1);
      expect(bench.window.bytes).toBeLessThanOrEqual(most);
    }
    expect(bench.window.bytes).toBeGreaterThan(0);
    const single = new Bench();
    for (let i = 0; i < 1200; i++) single.call([vector(), vector(), vector(), vector()], gate, 'face:small', 1);
    // 4,096 recent ones of the client, and 8,192 of its agency.
    expect(single.window.bytes).toBeLessThan(86 * (4096 + 8192 + 2 * 2048 + 4096));
  });

  it('raises no alarm about many travellers, each captured a few times', () => {
    const bench = new Bench();
    for (let traveller = 0; traveller < 1500; traveller++)
      for (let capture = 0; capture < 3; capture++)
        bench.call([person(traveller, capture)], gate, 'face:synthetic', 700);
    expect(bench.alarms).toHaveLength(0);
  });

  it('works for fingers', () => {
    const encoder = new ReferenceEncoder();
    const random = new Random(10);
    const record = createPerson(0x9a7e, 77).fingerImpression(2, 1);
    const print = toFingerTemplate(record, record.views[0]);
    // A climber moves a few minutiae at each step.
    const vectors = Array.from({ length: CALLS_TO_ALARM + 1 }, () => {
      const minutiae = print.minutiae.map((minutia) =>
        random.uniform() < 0.2 ? { ...minutia, x: minutia.x + random.below(30) } : minutia,
      );
      return vectorOf(encoder.encode({ ...print, minutiae }) ?? new Uint8Array(1));
    });
    const bench = new Bench();
    for (const vector of vectors) bench.call([vector], gate, 'finger');
    expect(bench.alarms).toHaveLength(1);
    const others = new Bench();
    for (let traveller = 0; traveller < 150; traveller++) {
      const [index, other] = packedFingersOf(traveller, 1, undefined, encoder);
      others.call(
        [index, other].flatMap((packed) => (packed ? [vectorOf(packed)] : [])),
        gate,
        'finger',
      );
    }
    expect(others.alarms).toHaveLength(0);
  });

  it.skipIf(sharedData === undefined)(
    'raises no alarm about real travellers, and one about a caller with one of them',
    () => {
      const { people } = facesOfPeople(join(sharedData ?? '', 'lfw-embeddings'));
      const bench = new Bench();
      // Everyone at one gate within forty minutes, ten captures at most.
      for (const own of people)
        for (const image of own.slice(0, 10)) bench.call([quantised(image)], gate, 'face:lfw', 400);
      expect(bench.alarms).toHaveLength(0);
      const [most] = [...people].sort((a, b) => b.length - a.length);
      for (const image of most) bench.call([quantised(image)], { clientId: 'other', agency: 'other' }, 'face:lfw', 400);
      expect(bench.alarms.filter(({ scope }) => scope === 'client')).toHaveLength(1);
      const prints = readPrints(join(sharedData ?? '', 'fingerprints/fcj2020-mindtct')).list;
      const encoder = new ReferenceEncoder();
      const fingers = new Bench();
      for (const { template } of prints) {
        const packed = encoder.encode(template);
        if (packed !== undefined) fingers.call([vectorOf(packed)], gate, 'finger', 400);
      }
      expect(fingers.alarms).toHaveLength(0);
    },
  );
});
