/** Searches during changes and compaction, compared with a plain map that keeps every version. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Gallery, type GalleryChange, type SearchableReference } from '../../src/gallery/gallery.ts';
import { Compactor } from '../../src/gallery/compactor.ts';
import { DirectComparer } from '../../src/matching/workers/direct-comparison.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import { ExactScan } from '../../src/matching/search/exact-scan.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import { identify, type SearchResult } from '../../src/matching/search/identification.ts';
import { prepareProbes, type Probe } from '../../src/matching/search/probe.ts';
import { ReferenceEncoder } from '../../src/matching/kernels/reference-encoder.ts';

import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import type { FingerTemplate } from '../../src/templates/finger-template.ts';
import { secondImpression, somePrint } from '../prints.ts';
import { subjectAttributes } from '../subject-attributes.ts';
import { named } from '../named-scope.ts';

const PEOPLE = 24;
const IMPRESSIONS = 3;
const GALLERIES = ['a', 'b'] as const;

/** A subject in the model: its galleries, and the impression of each reference id. */
interface Known {
  readonly galleries: ReadonlySet<string>;
  readonly references: ReadonlyMap<string, number>;
}
type Model = ReadonlyMap<string, Known>;

const print = (person: number, impression: number): FingerTemplate => {
  const first = somePrint(person + 1, 36);
  return impression === 0 ? first : secondImpression(first, 100 * person + impression, 10 * impression);
};
const encoder = new ReferenceEncoder();
const packed = Array.from({ length: PEOPLE }, (_, person) =>
  Array.from({ length: IMPRESSIONS }, (__, impression) => encoder.encode(print(person, impression)) as Uint8Array),
);

/** Steps. `search` does not wait for its answer, so that later changes overlap with it. */
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('enrol'), person: fc.nat(PEOPLE - 1), impression: fc.nat(2) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('expunge'), person: fc.nat(PEOPLE - 1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('move'), person: fc.nat(PEOPLE - 1) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('search'),
      person: fc.nat(PEOPLE - 1),
      way: fc.constantFrom<Source>(ExactScan, IndexedScan),
      scope: fc.subarray([...GALLERIES]),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('breathe'), turns: fc.integer({ min: 1, max: 12 }) }) },
);
type Source = typeof ExactScan | typeof IndexedScan;
type Step = (typeof step extends fc.Arbitrary<infer T> ? T : never) & {
  readonly person: number;
  readonly impression: number;
  readonly way: Source;
  readonly scope: readonly string[];
  readonly turns: number;
};

describe('searches while the gallery changes', () => {
  const pools: WorkerPool[] = [];
  const probes: Probe[][] = [];
  const comparer = new DirectComparer();
  beforeAll(async () => {
    pools.push(new WorkerPool(2));
    for (let person = 0; person < PEOPLE; person++) {
      probes.push(await prepareProbes(pools[0], [{ sampleIndex: 0, viewIndex: 0, template: print(person, 9) }]));
    }
  });
  afterAll(() => Promise.all(pools.map((pool) => pool.close())));

  it('see one version, without half-written records, duplicates or expunged subjects', async () => {
    let overlapping = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 90 }), async (steps) => {
        const [pool] = pools;
        const gallery = new Gallery(gallerySizing(5));
        const versions: Model[] = [new Map()];
        const answers: Promise<void>[] = [];
        // A turn of the event loop between any two copied references.
        const compactor = new Compactor({ current: gallery }, unexpected, 0);
        for (const one of steps as unknown as Step[]) {
          if (one.kind === 'breathe') await breathe(one.turns);
          else if (one.kind === 'search') {
            const before = compactor.compactions;
            const countOverlap = () => void (overlapping += compactor.compactions > before ? 1 : 0);
            answers.push(search(gallery, pool, versions, one).then(countOverlap));
          } else {
            change(gallery, versions, one);
            answers.push(compactor.run());
          }
        }
        await Promise.all(answers);
      }),
      { numRuns: 100 },
    );
    expect(overlapping).toBeGreaterThan(100);
  });

  async function search(gallery: Gallery, pool: WorkerPool, versions: readonly Model[], { person, way, scope }: Step) {
    const request = {
      probes: probes[person],
      scope: named(scope),
      maxCandidates: 10,
      threshold: { maxLog10Fmr: 0 },
      standardFpir: 0.01,
    };
    const source = new way(pool);
    const result = await identify(gallery, () => source, pool, request, new AbortController().signal);
    check(result, versions, person, new Set(scope));
  }

  function check(result: SearchResult, versions: readonly Model[], person: number, scope: ReadonlySet<string>): void {
    const then = versions[result.galleryVersion];
    const now = versions[versions.length - 1];
    const inScope = (known: Known | undefined) =>
      known !== undefined && (scope.size === 0 || [...known.galleries].some((name) => scope.has(name)));
    const ids = result.candidates.map(({ subject }) => subject.subjectId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { subject, scores } of result.candidates) {
      // Enrolled when the search began, and not expunged since. A re-enrolled subject is another one to the search.
      expect(then.has(subject.subjectId) && now.has(subject.subjectId)).toBe(true);
      for (const { referenceId, score } of scores) {
        const impression = then.get(subject.subjectId)?.references.get(referenceId ?? '');
        expect(impression).toBeDefined();
        const reference = packed[Number(subject.subjectId)][impression ?? 0];
        const { packed: probe } = probes[person][0];
        expect(score).toBe(probe && comparer.comparePacked(probe, { modality: 'finger', packed: reference }));
      }
    }
    // The mate was enrolled throughout and is in scope: it is found, and first.
    const id = String(person);
    const stayed = versions.slice(result.galleryVersion).every((model) => inScope(model.get(id)));
    if (stayed) expect(ids[0]).toBe(id);
  }

  function change(gallery: Gallery, versions: Model[], { kind, person, impression }: Step): void {
    const before = versions[versions.length - 1];
    const after = new Map(before);
    const subjectId = String(person);
    const known = before.get(subjectId);
    const next = gallery.version + 1;
    let made: GalleryChange;
    if (kind === 'expunge') {
      after.delete(subjectId);
      made = { kind: 'expunge', subjectId };
    } else {
      const galleries = new Set(kind === 'move' || known === undefined ? [GALLERIES[next % 2]] : known.galleries);
      const references = new Map(known?.references);
      // A third reference replaces the others.
      if (references.size > 1) references.clear();
      if (kind === 'enrol' || references.size === 0) references.set(`${subjectId}-${next}`, impression ?? 0);
      after.set(subjectId, { galleries, references });
      made = {
        kind: 'upsert',
        subjectId,
        attributes: subjectAttributes({ galleries, version: next }),
        references: searchable(person, references),
      };
    }
    gallery.apply(next, made);
    versions.push(after);
  }
});

/** Lets searches and compactions proceed. */
async function breathe(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}

function unexpected(error: unknown): never {
  throw error;
}

function searchable(person: number, references: ReadonlyMap<string, number>): SearchableReference[] {
  return [...references].map(([referenceId, impression]) => ({
    referenceId,
    partition: { modality: 'finger', position: 2 },
    packed: packed[person][impression],
  }));
}
