import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Compactor } from '../../src/gallery/compactor.ts';
import { Gallery, type SearchableReference } from '../../src/gallery/gallery.ts';
import { FACE_CODE_BYTES, FACE_DIRECTIONS, FaceCoder } from '../../src/matching/kernels/face-codes.ts';
import { learnFaceDirections } from '../../src/matching/kernels/learn-face-directions.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { ExactScan } from '../../src/matching/search/exact-scan.ts';
import { FaceCoding } from '../../src/matching/search/face-coding.ts';
import { FirstFaces } from '../../src/matching/search/first-faces.ts';
import { identify, type SearchResult } from '../../src/matching/search/identification.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import { prepareProbes } from '../../src/matching/search/probe.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import type { FaceTemplate } from '../../src/templates/face-template.ts';
import { random } from '../prints.ts';
import { subjectAttributes } from '../subject-attributes.ts';
import { buildCases } from '../kernels/builds.ts';
import { EVERYTHING } from '../../src/gallery/scope.ts';
import { named } from '../named-scope.ts';

const DIMENSION = 272;
const PARTITION = { modality: 'face', modelId: 'm', dimension: DIMENSION } as const;

/** Each component is a sum of a few that all faces share, as real embeddings are not independent; its mean is not 0. */
function values(person: number, capture: number): Int8Array {
  const [own, noise] = [random(person + 1), random(person * 1000 + capture + 7)];
  return Int8Array.from({ length: DIMENSION }, () => Math.round(6 + 70 * (own() - 0.5) + 25 * (noise() - 0.5)));
}

function face(person: number, capture: number): FaceTemplate {
  return { modality: 'face', modelId: 'm', dimension: DIMENSION, quality: 0, values: values(person, capture) };
}

function facesOf(count: number): Int8Array {
  const all = new Int8Array(count * DIMENSION);
  for (let i = 0; i < count; i++) all.set(values(i, 0), i * DIMENSION);
  return all;
}

/** Makes the order of ids that of the people. */
const padded = (person: number) => String(person).padStart(4, '0');

const directions = learnFaceDirections(facesOf(600), DIMENSION);

describe('directions of face codes', () => {
  it('are the same for the same faces, and identified by their hash', () => {
    const again = learnFaceDirections(facesOf(600), DIMENSION);
    expect(again.hash).toBe(directions.hash);
    expect(new Int8Array(again.directions)).toEqual(new Int8Array(directions.directions));
    expect(learnFaceDirections(facesOf(601), DIMENSION).hash).not.toBe(directions.hash);
  });

  it('are nearly orthogonal and of one length', () => {
    const rows = Array.from({ length: FACE_DIRECTIONS }, (_, j) =>
      new Int8Array(directions.directions).subarray(j * DIMENSION, (j + 1) * DIMENSION),
    );
    const product = (a: Int8Array, b: Int8Array) => a.reduce((sum, value, i) => sum + value * b[i], 0);
    const square = product(rows[0], rows[0]);
    for (let j = 1; j < FACE_DIRECTIONS; j++) {
      expect(product(rows[j], rows[j]) / square).toBeCloseTo(1, 1);
      expect(Math.abs(product(rows[j], rows[j - 1]) / square)).toBeLessThan(0.05);
    }
  });

  it('cannot be learned from too few faces', () => {
    expect(() => learnFaceDirections(facesOf(100), DIMENSION)).toThrow(RangeError);
  });
});

describe.each(buildCases)('the coder of faces, $title', ({ build, skipped }) => {
  if (skipped) return it.skip('does not run here');
  const coder = new FaceCoder(directions, build);
  const [rows, offsets] = [new Int8Array(directions.directions), new Int32Array(directions.offsets)];
  const projection = (one: Int8Array, j: number) =>
    one.reduce((sum, value, i) => sum + value * rows[j * DIMENSION + i], 0) - offsets[j];
  const bytesOf = (one: Int8Array) => new Uint8Array(one.buffer, one.byteOffset, one.byteLength);

  it('makes a bit of the sign of each projection', () => {
    const any = fc.int8Array({ min: -127, max: 127, minLength: DIMENSION, maxLength: DIMENSION });
    fc.assert(
      fc.property(any, (one) => {
        const codes = coder.encode(bytesOf(one));
        expect(codes).toHaveLength(FACE_CODE_BYTES);
        for (let j = 0; j < FACE_DIRECTIONS; j++)
          expect((codes[j >> 3] >> (j & 7)) & 1).toBe(projection(one, j) >= 0 ? 1 : 0);
      }),
      { numRuns: 30 },
    );
  });

  it('keeps neither a face nor a probe', () => {
    const memories: WebAssembly.Memory[] = [];
    const made = vi.spyOn(WebAssembly, 'Instance').mockImplementation(function (module, imports) {
      memories.push((imports as { env: { memory: WebAssembly.Memory } }).env.memory);
      made.mockRestore();
      return new WebAssembly.Instance(module, imports);
    });
    const own = new FaceCoder(directions, build);
    const one = bytesOf(values(3, 1));
    const before = Buffer.from(new Uint8Array(memories[0].buffer));
    own.encode(one);
    own.tables(one);
    expect(Buffer.from(new Uint8Array(memories[0].buffer)).equals(before)).toBe(true);
  });

  it('makes tables whose sums estimate the similarity', () => {
    const { tables, base } = coder.tables(bytesOf(values(3, 1)));
    const estimate = (one: Int8Array) => {
      const codes = coder.encode(bytesOf(one));
      const sum = Array.from(codes).reduce(
        (total, byte, k) => total + tables[32 * k + (byte & 15)] + tables[32 * k + 16 + (byte >> 4)],
        0,
      );
      return base - sum;
    };
    const mated = estimate(values(3, 0));
    const others = Array.from({ length: 200 }, (_, i) => estimate(values(i + 10, 0)));
    expect(estimate(values(3, 1))).toBe(base);
    expect(mated).toBeGreaterThan(100);
    expect(Math.max(...others)).toBeLessThan(mated - 20);
    expect(Math.abs(others.reduce((a, b) => a + b) / 200)).toBeLessThan(8);
  });
});

describe('coded faces', () => {
  let pool: WorkerPool;
  beforeAll(() => void (pool = new WorkerPool(2)));
  afterAll(() => pool.close());

  const PEOPLE = 900;
  function enrol(gallery: Gallery, person: number, capture = 0): void {
    const references: SearchableReference[] = [
      { referenceId: `p${person}-${capture}`, partition: PARTITION, packed: packFace(face(person, capture)) },
    ];
    const attributes = subjectAttributes({ galleries: new Set([person % 3 === 0 ? 'b' : 'a']) });
    gallery.apply(gallery.version + 1, { kind: 'upsert', subjectId: `p${person}`, attributes, references });
  }
  const expunge = (gallery: Gallery, person: number) =>
    gallery.apply(gallery.version + 1, { kind: 'expunge', subjectId: `p${person}` });
  const fail = (error: unknown) => {
    throw error;
  };

  function filled(): Gallery {
    const gallery = new Gallery(gallerySizing(256));
    for (let i = 0; i < PEOPLE; i++) enrol(gallery, i);
    return gallery;
  }

  async function search(gallery: Gallery, person: number, scope: readonly string[] = []): Promise<SearchResult[]> {
    const probes = await prepareProbes(pool, [{ sampleIndex: 0, viewIndex: 0, template: face(person, 5) }]);
    const request = {
      probes,
      scope: named(scope),
      maxCandidates: 5,
      threshold: { maxLog10Fmr: 0 },
      standardFpir: 0.01,
    };
    const { signal } = new AbortController();
    const sources = [new IndexedScan(pool), new ExactScan(pool)];
    return Promise.all(sources.map((source) => identify(gallery, () => source, pool, request, signal)));
  }

  /** The indexed and the exact search have the same first candidate. */
  async function expectSameFirst(gallery: Gallery, person: number, scope?: readonly string[]): Promise<SearchResult> {
    const [indexed, exact] = await search(gallery, person, scope);
    const named = ({ candidates }: SearchResult) =>
      candidates.map(({ subject, log10Fmr }) => [subject.subjectId, log10Fmr]);
    expect(named(indexed)[0]).toEqual(named(exact)[0]);
    expect(indexed.searchedFraction).toBe(1);
    // All have been ranked by their whole embeddings: there are few of them.
    expect(indexed.mode).toBe('exact');
    expect([indexed.compared, indexed.inScope, indexed.penetration]).toEqual([exact.compared, exact.inScope, 1]);
    return indexed;
  }

  it('are found like exactly compared ones, through enrolments, expunging and compaction', async () => {
    const gallery = filled();
    const coding = new FaceCoding({ current: gallery }, pool, fail, 600);
    await coding.run();
    const partition = gallery.partition(PARTITION);
    const isCoded = () => partition?.ranges().every(({ coder }) => coder !== undefined);
    expect(isCoded()).toBe(true);
    const found = await expectSameFirst(gallery, 7);
    expect(found.candidates[0]?.subject.subjectId).toBe('p7');
    // Enrolled after the coding.
    enrol(gallery, PEOPLE);
    expect((await expectSameFirst(gallery, PEOPLE)).candidates[0]?.subject.subjectId).toBe(`p${PEOPLE}`);
    // Replaced.
    enrol(gallery, 8, 1);
    expect((await expectSameFirst(gallery, 8)).candidates[0]?.subject.subjectId).toBe('p8');
    // Expunged, and compacted.
    for (let i = 0; i < PEOPLE; i += 2) expunge(gallery, i);
    const compactor = new Compactor({ current: gallery }, fail);
    await compactor.run();
    expect(compactor.compactions).toBeGreaterThan(0);
    expect(isCoded()).toBe(true);
    for (const person of [7, 10, 101, PEOPLE]) {
      const { candidates } = await expectSameFirst(gallery, person);
      const isThere = person % 2 === 1 || person === PEOPLE;
      expect(candidates.some(({ subject }) => subject.subjectId === `p${person}`)).toBe(isThere);
    }
    expect((await expectSameFirst(gallery, 9, ['b'])).candidates[0]?.subject.subjectId).toBe('p9');
    expect((await expectSameFirst(gallery, 9, ['a'])).candidates[0]?.subject.subjectId).not.toBe('p9');
  });

  it('are coded while faces come and go, and segments are compacted', async () => {
    const gallery = filled();
    const coding = new FaceCoding({ current: gallery }, pool, fail, 600);
    const compactor = new Compactor({ current: gallery }, fail, 0);
    for (let i = 0; i < PEOPLE; i += 3) expunge(gallery, i);
    const compacting = compactor.run();
    // The copy has begun without codes: the coding waits for it, and is tried again.
    await coding.run();
    for (let i = 0; i < 60; i++) enrol(gallery, 2000 + i);
    await compacting;
    const coded = coding.run();
    for (let i = 60; i < 120; i++) enrol(gallery, 2000 + i);
    for (let i = 1; i < PEOPLE / 4; i += 3) expunge(gallery, i);
    await Promise.all([coded, compactor.run()]);
    expect(
      gallery
        .partition(PARTITION)
        ?.ranges()
        .every(({ coder }) => coder !== undefined),
    ).toBe(true);
    for (const person of [2001, 2061, 2119, 502, 4]) {
      const { candidates } = await expectSameFirst(gallery, person);
      expect(candidates.some(({ subject }) => subject.subjectId === `p${person}`)).toBe(person !== 4);
    }
  });

  it('of two models are not said to be compared exactly: similarities do not rank as their rates do', async () => {
    const gallery = filled();
    const other = { ...face(3, 0), modelId: 'other' };
    const references = [{ referenceId: 'o3', partition: { ...PARTITION, modelId: 'other' }, packed: packFace(other) }];
    gallery.apply(gallery.version + 1, {
      kind: 'upsert',
      subjectId: 'o',
      attributes: subjectAttributes({}),
      references,
    });
    const { signal } = new AbortController();
    const modeOf = async (...templates: FaceTemplate[]) => {
      const probes = await prepareProbes(
        pool,
        templates.map((template, sampleIndex) => ({ sampleIndex, viewIndex: 0, template })),
      );
      const rules = { maxCandidates: 5, threshold: { maxLog10Fmr: 0 }, standardFpir: 0.01 };
      const request = { probes, scope: EVERYTHING, ...rules };
      return (await identify(gallery, () => new IndexedScan(pool), pool, request, signal)).mode;
    };
    expect(await modeOf(face(3, 1), face(3, 2))).toBe('exact');
    expect(await modeOf(face(3, 1), other)).toBe('indexed');
  });

  it('stay exact where the first faces are copies of one, which have no directions', async () => {
    const gallery = new Gallery(gallerySizing(4096));
    const attributes = subjectAttributes({});
    for (let i = 0; i < 3100; i++) {
      const packed = packFace(i < 3050 ? face(1, 0) : face(i, 0));
      const references = [{ referenceId: `c${i}`, partition: PARTITION, packed }];
      gallery.apply(gallery.version + 1, { kind: 'upsert', subjectId: `p${padded(i)}`, attributes, references });
    }
    const coding = new FaceCoding({ current: gallery }, pool, fail, 600);
    await coding.run();
    expect(gallery.partition(PARTITION)?.isCoded).toBe(false);
    const found = await expectSameFirst(gallery, 3077);
    expect(found.candidates[0]?.subject.subjectId).toBe('p3077');
  });

  it('wait until there are enough of them', async () => {
    const gallery = filled();
    const coding = new FaceCoding({ current: gallery }, pool, fail, PEOPLE + 1);
    await coding.run();
    expect(gallery.partition(PARTITION)?.isCoded).toBe(false);
    await expectSameFirst(gallery, 11);
    await coding.stop();
  });

  it('are coded at a later try, where one has failed halfway', async () => {
    const gallery = filled();
    const errors: unknown[] = [];
    const coding = new FaceCoding({ current: gallery }, pool, (error) => errors.push(error), 600);
    const encode = pool.encodeFaces.bind(pool);
    const failing = vi
      .spyOn(pool, 'encodeFaces')
      .mockImplementationOnce((...order) => encode(...order))
      .mockRejectedValueOnce(new Error('a thread has ended'));
    await coding.run();
    failing.mockRestore();
    const partition = gallery.partition(PARTITION);
    expect([errors.length, partition?.isCoded]).toEqual([1, false]);
    await expectSameFirst(gallery, 12);
    const now = performance.now() + 60_001;
    const clock = vi.spyOn(performance, 'now').mockReturnValue(now);
    await coding.run();
    clock.mockRestore();
    expect([errors.length, partition?.isCoded]).toEqual([1, true]);
    expect((await expectSameFirst(gallery, 12)).candidates[0]?.subject.subjectId).toBe('p12');
  });

  it('are coded by directions learned from the first faces by subject id, whatever the order of enrolment', async () => {
    const gallery = new Gallery(gallerySizing(4096));
    // The faces that directions are learned from are enrolled last, and of the first two subjects.
    const ids = [...Array.from({ length: 600 }, (_, i) => `q${i}`), 'b', 'a'];
    for (const subjectId of ids) {
      const own = { a: [0, 1499], b: [1500, 2999] }[subjectId] ?? [4000, 4000];
      const references = Array.from({ length: own[1] - own[0] + 1 }, (_, i) => {
        return { referenceId: `${subjectId}-${i}`, partition: PARTITION, packed: packFace(face(own[0] + i, 0)) };
      });
      const attributes = subjectAttributes({});
      gallery.apply(gallery.version + 1, { kind: 'upsert', subjectId, attributes, references });
    }
    await new FaceCoding({ current: gallery }, pool, fail, 600).run();
    const coder = gallery.partition(PARTITION)?.ranges()[0].coder;
    const expected = learnFaceDirections(facesOf(3000), DIMENSION).hash;
    expect(coder instanceof FaceCoder && coder.directions.hash).toBe(expected);
  });

  it('are not waited for by a stop while directions are learned, and no others are learned', async () => {
    const gallery = filled();
    const other = { ...PARTITION, modelId: 'other' };
    for (let i = 0; i < 600; i++) {
      const references = [{ referenceId: `o${i}`, partition: other, packed: packFace(face(i, 0)) }];
      const change = { kind: 'upsert', subjectId: `o${i}`, attributes: subjectAttributes({}), references } as const;
      gallery.apply(gallery.version + 1, change);
    }
    const reading = vi.spyOn(FirstFaces.prototype, 'read');
    const coding = new FaceCoding({ current: gallery }, pool, fail, 600);
    const running = coding.run();
    await vi.waitFor(() => expect(reading).toHaveBeenCalled(), { interval: 1 });
    await coding.stop();
    await running;
    await coding.run();
    // Directions of neither model came in use, and the faces of the other were not even read.
    expect(reading).toHaveBeenCalledOnce();
    expect(reading.mock.results[0].value).toHaveLength(PEOPLE * DIMENSION);
    reading.mockRestore();
    for (const name of [PARTITION, other]) expect(gallery.partition(name)?.isCoded).toBe(false);
    const later = new FaceCoding({ current: gallery }, pool, fail, 600);
    await later.run();
    for (const name of [PARTITION, other]) expect(gallery.partition(name)?.isCoded).toBe(true);
  });
});
