import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { Gallery } from '../../src/gallery/gallery.ts';
import { Segment } from '../../src/gallery/segment.ts';
import { MAX_BATCH_PROBES } from '../../src/matching/kernels/batch-kernels.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { ReferenceEncoder } from '../../src/matching/kernels/reference-encoder.ts';
import { codeTasks } from '../../src/matching/search/code-tasks.ts';
import { ExactScan } from '../../src/matching/search/exact-scan.ts';
import { identify } from '../../src/matching/search/identification.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import { prepareProbes, type Probe } from '../../src/matching/search/probe.ts';
import { scanParts } from '../../src/matching/search/scan-parts.ts';
import { SearchView } from '../../src/matching/search/search-view.ts';
import { inSharedOrder } from '../../src/matching/search/shared-order.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import type { CodeScan } from '../../src/matching/workers/messages.ts';
import { namesOf, ScanBatches } from '../../src/matching/workers/scan-batches.ts';
import { SEGMENT_SCRATCH_BYTES } from '../../src/matching/workers/segment-reader.ts';
import { STOP, StopSignal } from '../../src/matching/workers/stop-signal.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import type { FaceTemplate } from '../../src/templates/face-template.ts';
import { random, secondImpression, somePrint } from '../prints.ts';
import { subjectAttributes } from '../subject-attributes.ts';
import { EVERYTHING } from '../../src/gallery/scope.ts';
import { named } from '../named-scope.ts';

const pools = [1, 2].map((size) => new WorkerPool(size));
afterAll(() => Promise.all(pools.map((pool) => pool.close())));

describe('batches of scans', () => {
  it('take in the scans that come while they wait, and give each its own result, whatever comes when', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('ask' as const), of: fc.nat(2), count: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ kind: fc.constant('take' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const batches = new ScanBatches<number, readonly number[]>();
        const queue: (() => void)[] = [];
        const sent: (readonly number[])[] = [];
        const asked: Promise<void>[] = [];
        let next = 0;
        const take = () => queue.shift()?.();
        for (const one of steps) {
          if (one.kind === 'take') {
            take();
            continue;
          }
          const scans = Array.from({ length: one.count }, () => next++);
          const share = batches.run(`r${one.of}`, scans, (all, onWaiting) => {
            onWaiting(true);
            return new Promise((resolve) => {
              queue.push(() => {
                onWaiting(false);
                const copy = [...all];
                sent.push(copy);
                resolve(copy.map((scan) => -scan));
              });
            });
          });
          asked.push(
            share.then(({ result, first, size }) => {
              expect(result.slice(first, first + scans.length)).toEqual(scans.map((scan) => -scan));
              expect(size).toBe(result.length);
            }),
          );
        }
        while (queue.length > 0) take();
        await Promise.all(asked);
        expect(sent.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: next }, (_, i) => i));
        for (const scans of sent) expect(scans.length).toBeLessThanOrEqual(MAX_BATCH_PROBES);
        expect(batches.joinable()).toEqual([]);
      }),
    );
  });

  it('fail for every caller when the task fails', async () => {
    const batches = new ScanBatches<number, number>();
    const { promise, reject } = withReject();
    const first = batches.run('r', [1], (_, onWaiting) => {
      onWaiting(true);
      return promise;
    });
    const second = batches.run('r', [2], () => Promise.resolve(0));
    reject(new Error('the thread has ended'));
    await expect(first).rejects.toThrow('the thread has ended');
    await expect(second).rejects.toThrow('the thread has ended');
  });

  it('are made of scans that wait for a thread, and of no others', async () => {
    const [pool] = pools;
    const segment = new Segment(4096, 512, { scratchBytes: SEGMENT_SCRATCH_BYTES });
    for (let i = 0; i < 4096; i++) segment.append(faceBytes(i, 512), i);
    const { handle } = segment;
    const name = namesOf('faces', [{ segment: handle.id, from: 0 }]);
    const scan = (person: number, stop = new StopSignal().scan) => {
      const similarities = new SharedArrayBuffer(2 * 4096);
      const probe = { modality: 'face', modelId: 'm', dimension: 512, packed: faceBytes(person, 512) } as const;
      const range = { segment: handle.id, from: 0, to: 4096, similarities, offset: 0, stop };
      return pool.scan({ kind: 'scan', probe, ...range }, handle).then((result) => {
        return { ...result, similarities: new Int16Array(similarities) };
      });
    };
    const alone: Awaited<ReturnType<typeof scan>>[] = [];
    for (let person = 0; person < 12; person++) alone.push(await scan(person));
    const stopped = new StopSignal();
    stopped.raise(STOP.scan);
    expect(pool.joinable()).toEqual([]);
    // The first one gets the thread.
    const together = [scan(0)];
    expect(pool.joinable()).toEqual([]);
    for (let person = 1; person < 12; person++) {
      together.push(scan(person, person === 5 ? stopped.scan : undefined));
      expect(pool.joinable()).toEqual(person === MAX_BATCH_PROBES ? [] : [name]);
    }
    const results = await Promise.all(together);
    results.forEach(({ busyMs, ...result }, person) => {
      if (person === 5) expect(result).toMatchObject({ read: 0, passed: 0, searched: 0 });
      else expect({ ...result, busyMs: 0 }).toEqual({ ...alone[person], busyMs: 0 });
      expect(busyMs).toBeGreaterThan(0);
    });
    // One pass for eight, and one for the last three.
    expect(new Set(results.map(({ busyMs }) => busyMs)).size).toBe(3);
  });

  it('serve scans of codes with different ends', async () => {
    const [pool] = pools;
    const segments = [2000, 900].map((count) => codedSegment(count));
    const scanOf = (seed: number, shorter: number): CodeScan => {
      const next = random(seed);
      const tables = { tables: Uint8Array.from({ length: 1024 }, () => next() * 9), base: 230 };
      const pieces = segments.map(({ handle: { id }, count }, s) => {
        return { segment: id, from: 0, to: s === 1 ? count - shorter : count, offset: s * 2048 };
      });
      return { tables, pieces, values: new SharedArrayBuffer(4096), classes: undefined, stop: new StopSignal().scan };
    };
    const handles = segments.map(({ handle }) => handle);
    const cases = [0, 31, 0, 500, 899].map((shorter, i) => ({ seed: i + 1, shorter }));
    const alone: { readonly read: readonly number[]; readonly values: Uint8Array }[] = [];
    for (const { seed, shorter } of cases) {
      const scan = scanOf(seed, shorter);
      alone.push({ read: (await pool.scanCodes([scan], handles)).read, values: new Uint8Array(scan.values) });
    }
    const scans = cases.map(({ seed, shorter }) => scanOf(seed, shorter));
    expect(alone.map(({ read }) => read)).toEqual(cases.map(({ shorter }) => [2900 - shorter]));
    const [first, second, third, ...rest] = scans;
    const shares = await Promise.all([
      pool.scanCodes([first], handles),
      pool.scanCodes([second, third], handles),
      ...rest.map((scan) => pool.scanCodes([scan], handles)),
    ]);
    expect(shares.flatMap(({ read }) => read)).toEqual(alone.flatMap(({ read }) => read));
    scans.forEach(({ values }, i) => expect(new Uint8Array(values)).toEqual(alone[i].values));
    const [, two, one, other] = shares;
    expect(one.busyMs).toBe(other.busyMs);
    expect(two.busyMs).toBe(2 * one.busyMs);
  });

  it.each(['exact', 'indexed'] as const)('change no answer: %s searches, alone and at the same time', async (way) => {
    const gallery = filledGallery();
    const probes: Probe[][] = [];
    for (let i = 0; i < 10; i++) probes.push(await probesOf(i));
    const answers: unknown[] = [];
    for (const pool of pools) {
      const source = way === 'exact' ? new ExactScan(pool) : new IndexedScan(pool);
      const search = async (of: readonly Probe[]) => {
        const result = await identify(gallery, () => source, pool, requestFor(of), new AbortController().signal);
        const candidates = result.candidates.map(({ subject, log10Fmr }) => [subject.subjectId, log10Fmr]);
        return { ...result, candidates };
      };
      const alone: Awaited<ReturnType<typeof search>>[] = [];
      for (const of of probes) alone.push(await search(of));
      expect(alone.filter(({ candidates }, i) => candidates[0]?.[0] === `p${i}`).length).toBeGreaterThan(8);
      expect(await Promise.all(probes.map(search))).toEqual(alone);
      expect(alone.every(({ searchedFraction }) => searchedFraction === 1)).toBe(true);
      answers.push(alone);
    }
    // With one thread, both samples of the finger are scanned together.
    expect(answers[1]).toEqual(answers[0]);
  });

  it('compare no face outside the galleries of a search', async () => {
    const gallery = filledGallery();
    const [pool] = pools;
    const probes = (await probesOf(3)).slice(2);
    const source = new ExactScan(pool);
    const search = (...galleries: string[]) => {
      const request = { ...requestFor(probes), scope: named(galleries) };
      return identify(gallery, () => source, pool, request, new AbortController().signal);
    };
    const results = await Promise.all([search('third'), search(), search('third'), search('other')]);
    expect(results.map(({ compared }) => compared)).toEqual([[67], [200], [67], [133]]);
  });

  it('leave no earlier values behind where a search was stopped', async () => {
    const [pool] = pools;
    const gallery = filledGallery();
    const probes = await probesOf(1);
    const view = new SearchView(gallery, probes, EVERYTHING);
    const parts = scanParts(probes.slice(0, 2), view).map((part, p) => {
      return { ...part, offset: 300 + p * 64, tables: { tables: new Uint8Array(2048), base: 9 } };
    });
    const values = new SharedArrayBuffer(2048);
    new Uint8Array(values).fill(77);
    const stop = new StopSignal();
    stop.raise(STOP.scan);
    for (const { run } of codeTasks(pool, parts, values, undefined, stop.scan)) expect(await run()).toBe(0);
    view.close();
    const left = new Uint8Array(values);
    const covered = (at: number) => parts.some(({ offset, end }) => at >= offset && at < offset + end);
    left.forEach((value, at) => expect(value).toBe(covered(at) ? 0 : 77));
    expect(parts.length).toBeGreaterThan(4);
  });
});

describe('the order of shared tasks', () => {
  it('begins each task once, a joinable one first, and otherwise the one after the last', () => {
    const names = fc.constantFrom('a', 'b', 'c', undefined);
    const waiting = fc.array(fc.subarray(['a', 'b', 'c', 'd']), { minLength: 12, maxLength: 12 });
    fc.assert(
      fc.property(fc.array(names, { maxLength: 12 }), waiting, (jobs, joinable) => {
        const begun: number[] = [];
        const shared = jobs.map((name, j) => ({ name, run: () => Promise.resolve(begun.push(j)) }));
        let now: readonly string[] = [];
        for (const run of inSharedOrder(shared, () => now)) {
          now = joinable[begun.length];
          const left = jobs.flatMap((_, j) => (begun.includes(j) ? [] : [j]));
          const joined = now.flatMap((name) => left.filter((j) => jobs[j] === name))[0];
          const after = left.find((j) => j > (begun.at(-1) ?? -1)) ?? left[0];
          void run();
          expect(begun.at(-1)).toBe(joined ?? after);
        }
        expect(begun.toSorted((a, b) => a - b)).toEqual([...jobs.keys()]);
      }),
    );
  });
});

function withReject(): { readonly promise: Promise<number>; readonly reject: (error: Error) => void } {
  let fail: (error: Error) => void = () => undefined;
  const promise = new Promise<number>((_, reject) => (fail = reject));
  return { promise, reject: fail };
}

function faceBytes(person: number, dimension: number): Uint8Array {
  return packFace(face(person, 0, dimension));
}

function face(person: number, capture: number, dimension = 64): FaceTemplate {
  const [own, noise] = [random(person + 1), random(person * 1000 + capture)];
  const values = Int8Array.from({ length: dimension }, () => Math.round(60 * (own() - 0.5) + 30 * (noise() - 0.5)));
  return { modality: 'face', modelId: 'm', dimension, quality: 0, values };
}

function codedSegment(count: number) {
  const next = random(count);
  const segment = new Segment(count, 16, { scratchBytes: SEGMENT_SCRATCH_BYTES, codeBytes: 32, codesArePacked: true });
  for (let i = 0; i < count; i++)
    segment.append(
      Uint8Array.from({ length: 48 }, () => next() * 256),
      i,
    );
  return { handle: segment.handle, count };
}

const encoder = new ReferenceEncoder();
const print = (person: number) => ({ ...somePrint(person, 30 + (person % 20)), position: 2 as const });

/** In several segments, so that a search has several tasks. */
function filledGallery(): Gallery {
  const gallery = new Gallery(gallerySizing(64));
  for (let i = 0; i < 200; i++) {
    const references = [
      {
        referenceId: `p${i}-2`,
        partition: { modality: 'finger', position: 2 },
        packed: encoder.encode(print(i)),
      },
      {
        referenceId: `p${i}-face`,
        partition: { modality: 'face', modelId: 'm', dimension: 64 },
        packed: packFace(face(i, 0)),
      },
    ] as const;
    const attributes = subjectAttributes({ galleries: new Set([i % 3 === 0 ? 'third' : 'other']) });
    gallery.apply(gallery.version + 1, { kind: 'upsert', subjectId: `p${i}`, attributes, references });
  }
  return gallery;
}

/** Two samples of one finger, and a face. */
function probesOf(person: number): Promise<Probe[]> {
  const fingers = [0, 1].map((sample) => secondImpression(print(person), 2 * person + sample, 20));
  const samples = [...fingers, face(person, 1)];
  return prepareProbes(
    pools[0],
    samples.map((template, sampleIndex) => ({ sampleIndex, viewIndex: 0, template })),
  );
}

function requestFor(probes: readonly Probe[]) {
  const threshold = { maxLog10Fmr: 0 };
  return { probes, scope: EVERYTHING, maxCandidates: 10, threshold, standardFpir: 0.01, instantMs: 1000 };
}
