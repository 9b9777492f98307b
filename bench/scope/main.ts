/**
 * Search cost by scope, on one gallery, interleaved: a small gallery of a large store, a store with expired subjects, and
 * callers that may not search every record class. Ratios are to the same search of the whole store.
 *
 *   npm run bench -- scope [--subjects 30000] [--small 2] [--medium 1000] [--rounds 8] [--fingers 2] [--face] [--json]
 *
 * CPU of the whole process. `list` compares the references of the gallery's subjects. `scan` reads the owner of every
 * reference and compares those in scope. `expired` has one subject in a hundred expired; `everything` is the same
 * search before their expiry. `unmasked` has a mask that denies no subject, `half` one that denies every other subject.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { ClassMask } from '../../src/gallery/class-mask.ts';
import type { Gallery } from '../../src/gallery/gallery.ts';
import type { CandidateSource } from '../../src/matching/search/candidate-source.ts';
import { kernelHash } from '../../src/matching/kernels/kernels.ts';
import { ScopeList } from '../../src/matching/search/scope-list.ts';
import { ExactScan } from '../../src/matching/search/exact-scan.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { medianOf } from '../harness/spread.ts';
import { emptyGallery, fillGallery } from '../gallery/synthetic-gallery.ts';
import { partsFor } from '../gallery/enrolled-people.ts';
import { probesOf } from '../people/sought-people.ts';
import { searchAll } from '../gallery/search.ts';

const { values: options } = parseArgs({
  options: {
    subjects: { type: 'string', default: '30000' },
    small: { type: 'string', default: '2' },
    medium: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '8' },
    fingers: { type: 'string', default: '2' },
    face: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const [subjects, small, medium, rounds, fingers] = [
  options.subjects,
  options.small,
  options.medium,
  options.rounds,
  options.fingers,
].map(Number);
const samples = { fingers, face: options.face };
/** One in this many subjects expires; the time of expiry. */
const ONE_IN = 100;
const EXPIRY_MS = 1000;
/** Contributor of every other subject. */
const OTHER = 'other';

const gallery = emptyGallery();
await fillGallery(gallery, subjects, availableParallelism(), partsFor(samples));
gallery.startAt(1);
for (let i = 0; i < subjects; i++) setAside(gallery, i);
const pool = new WorkerPool(1);
const [exact, indexed, list] = [new ExactScan(pool), new IndexedScan(pool), new ScopeList(pool)];

interface Case {
  readonly source: CandidateSource;
  readonly galleries: readonly string[];
  readonly instantMs: number;
  readonly classes: ClassMask | undefined;
  readonly ms: number[];
}
const of = (source: CandidateSource, galleries: readonly string[] = [], instantMs = 0, classes?: ClassMask): Case => ({
  source,
  galleries,
  instantMs,
  classes,
  ms: [],
});
const all = new ClassMask(gallery.classes, () => true);
const half = new ClassMask(gallery.classes, ({ contributor }) => contributor !== OTHER);
const cases: Record<string, Case> = {
  'everything, exact': of(exact),
  'everything, indexed': of(indexed),
  'expired, exact': of(exact, [], EXPIRY_MS),
  'expired, indexed': of(indexed, [], EXPIRY_MS),
  'unmasked, exact': of(exact, [], 0, all),
  'unmasked, indexed': of(indexed, [], 0, all),
  'half, exact': of(exact, [], 0, half),
  'half, indexed': of(indexed, [], 0, half),
  'small, list': of(list, ['small']),
  'small, scan': of(exact, ['small']),
  'medium, list': of(list, ['medium']),
  'medium, scan': of(exact, ['medium']),
};
for (let round = -1; round < rounds; round++) {
  const probes = await probesOf(pool, 1_000 + round, samples);
  for (const one of Object.values(cases)) {
    const before = process.cpuUsage();
    await searchAll(gallery, pool, probes, () => one.source, {
      scope: { galleries: new Set(one.galleries), classes: one.classes },
      instantMs: one.instantMs,
    });
    const { user, system } = process.cpuUsage(before);
    // The first round warms up.
    if (round >= 0) one.ms.push((user + system) / 1000);
  }
}
await pool.close();

const median = (name: string) => medianOf(cases[name].ms);
const share = (name: string, whole: string) => Number((median(name) / median(whole)).toPrecision(3));
const report = {
  kernel: kernelHash(),
  subjects,
  small,
  medium,
  'CPU ms, median': Object.fromEntries(Object.keys(cases).map((name) => [name, Number(median(name).toFixed(2))])),
  ratios: {
    'small, list / everything, exact': share('small, list', 'everything, exact'),
    'small, scan / everything, exact': share('small, scan', 'everything, exact'),
    'medium, list / everything, exact': share('medium, list', 'everything, exact'),
    'medium, scan / everything, exact': share('medium, scan', 'everything, exact'),
    'expired / everything, exact': share('expired, exact', 'everything, exact'),
    'expired / everything, indexed': share('expired, indexed', 'everything, indexed'),
    'unmasked / everything, exact': share('unmasked, exact', 'everything, exact'),
    'unmasked / everything, indexed': share('unmasked, indexed', 'everything, indexed'),
    'half / everything, exact': share('half, exact', 'everything, exact'),
    'half / everything, indexed': share('half, indexed', 'everything, indexed'),
  },
};
if (options.json) console.log(JSON.stringify(report));
else console.dir(report, { depth: 3 });

/** Puts the first subjects into separate galleries, lets some expire, and gives half of them to another contributor. */
function setAside(of: Gallery, i: number): void {
  const subject = of.subject(`s${i}`);
  if (subject === undefined) return;
  const galleries = new Set([
    ...subject.attributes.galleries,
    ...(i < small ? ['small'] : []),
    ...(i < medium ? ['medium'] : []),
  ]);
  const searchedUntilMs = i % ONE_IN === ONE_IN - 1 ? EXPIRY_MS : undefined;
  const contributor = i % 2 === 0 ? subject.attributes.contributor : OTHER;
  of.apply(of.version + 1, {
    kind: 'upsert',
    subjectId: subject.subjectId,
    attributes: { ...subject.attributes, contributor, galleries, searchedUntilMs },
    references: subject.references.map(({ referenceId, partition }) => ({ referenceId, partition, packed: undefined })),
  });
}
