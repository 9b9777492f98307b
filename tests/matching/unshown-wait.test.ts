/** What changes while an answer waits for the search of records that are not shown. */
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { SubjectAttributes } from '../../src/gallery/catalogue.ts';
import { ClassMask } from '../../src/gallery/class-mask.ts';
import { Gallery, type GalleryChange } from '../../src/gallery/gallery.ts';
import { Quarantine } from '../../src/gallery/quarantine.ts';
import { NEVER_SEARCHED_MS } from '../../src/gallery/record-life.ts';
import { ReferenceEncoder } from '../../src/matching/kernels/reference-encoder.ts';
import { AdmissionQueue } from '../../src/matching/search/admission.ts';
import type { CandidateSource } from '../../src/matching/search/candidate-source.ts';
import { ExactScan } from '../../src/matching/search/exact-scan.ts';
import { IndexAudit } from '../../src/matching/search/index-audit.ts';
import { Planner } from '../../src/matching/search/planner.ts';
import { Searcher, type Identified } from '../../src/matching/search/searcher.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { secondImpression, somePrint } from '../prints.ts';
import { subjectAttributes } from '../subject-attributes.ts';

const [SHOWN, UNSHOWN] = ['a', 'b'];
const encoder = new ReferenceEncoder();
const finger = { ...somePrint(5, 40), position: 2 } as const;
const partition = { modality: 'finger', position: 2 } as const;

let pool: WorkerPool;
beforeAll(() => {
  pool = new WorkerPool(1);
});
afterAll(() => pool.close());

/** Two records of one person are shown, and one is not. */
function filled(): Gallery {
  const gallery = new Gallery(gallerySizing(16), () => 1000);
  const enrol = (subjectId: string, contributor: string, seed: number) => {
    const packed = encoder.encode(secondImpression(finger, seed, 4, 0.1));
    gallery.load(subjectId, subjectAttributes({ contributor }), [{ referenceId: `${subjectId}-2`, partition, packed }]);
  };
  enrol('stays', SHOWN, 1);
  enrol('changes', SHOWN, 2);
  enrol('unseen', UNSHOWN, 3);
  gallery.startAt(3);
  return gallery;
}

const changed = (changes: Partial<SubjectAttributes>): GalleryChange => ({
  ...{ kind: 'upsert', subjectId: 'changes' },
  attributes: subjectAttributes({ contributor: SHOWN, version: 2, ...changes }),
  references: [{ referenceId: 'changes-2', partition, packed: undefined }],
});

/**
 * Searches for the person. The search of unshown records is held up until the change was made.
 * @param change - undefined: none
 */
async function searched(change: GalleryChange | undefined): Promise<Identified> {
  const gallery = filled();
  const served = { current: gallery };
  const audit = new IndexAudit(0, 0.999, served, pool, () => Promise.resolve(), vi.fn());
  const planner = new Planner(pool);
  const held = Promise.withResolvers<undefined>();
  const exact = new ExactScan(pool);
  const heldUp: CandidateSource = {
    mode: 'exact',
    expectedMs: () => 0,
    propose: (...asked) => held.promise.then(() => exact.propose(...asked)),
  };
  // The search of unshown records begins first.
  vi.spyOn(planner, 'choose').mockReturnValueOnce(heldUp).mockReturnValueOnce(exact);
  const ends = vi.spyOn(gallery, 'endSearch');
  const parts = { served, planner, audit, pool, quarantine: new Quarantine(), targetFpir: 0.01 };
  const searcher = new Searcher({ ...parts, admission: new AdmissionQueue(1, 0) });
  const maskOf = (contributor: string) => new ClassMask(gallery.classes, (one) => one.contributor === contributor);
  const answer = searcher.identify(
    {
      ...{ samples: [{ template: secondImpression(finger, 9, 4, 0.1), sampleIndex: 0, viewIndex: 0 }], galleries: [] },
      ...{ classes: maskOf(SHOWN), unshown: { classes: maskOf(UNSHOWN) }, maxCandidates: 10, threshold: undefined },
      ...{ isExact: true, explain: false, allowPartial: false, firstHit: false },
    },
    { signal: new AbortController().signal, deadlineMs: Infinity },
  );
  await vi.waitUntil(() => ends.mock.calls.length === 1, { interval: 1, timeout: 30_000 });
  if (change !== undefined) gallery.apply(4, change);
  held.resolve(undefined);
  return answer.finally(() => gallery.close());
}

const ranked = ({ result }: Identified) => result.candidates.map(({ subject, rank }) => [subject.subjectId, rank]);

it('is in the answer: what may not be found any more has gone from it', async () => {
  const whole = await searched(undefined);
  expect(ranked(whole).map(([subjectId]) => subjectId)).toEqual(expect.arrayContaining(['stays', 'changes']));
  expect(whole.unshown?.candidates.map(({ subject }) => subject.subjectId)).toEqual(['unseen']);
  for (const change of [
    { kind: 'expunge', subjectId: 'changes' } as const,
    changed({ searchedUntilMs: NEVER_SEARCHED_MS }),
    changed({ searchedUntilMs: 1000 }),
    changed({ minorUntilMs: 1001 }),
    changed({ contributor: UNSHOWN }),
  ]) {
    const answer = await searched(change);
    expect(ranked(answer)).toEqual([['stays', 1]]);
    expect(answer.result.band).toBe('strong-candidate');
  }
  expect(ranked(await searched(changed({ searchedUntilMs: 1001 })))).toHaveLength(2);
});
