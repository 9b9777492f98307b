/**
 * List lengths for target hit rates, as the service chooses them, and what they reach on other probes: another capture
 * of each enrolled person, made by the fixtures and not by the wear of references.
 */
import type { Gallery } from '../../src/gallery/gallery.ts';
import { ExactScan } from '../../src/matching/search/exact-scan.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import { listSizes } from '../../src/matching/search/list-sizes.ts';
import { ValueBuffers } from '../../src/matching/search/value-buffers.ts';
import { hitsOf, type MatePlace } from '../../src/matching/tuning/chosen-lengths.ts';
import { ListTuning, type ListFigures } from '../../src/matching/tuning/list-tuning.ts';
import { placeMate } from '../../src/matching/tuning/place-mate.ts';
import type { ListKind } from '../../src/matching/workers/list-lengths.ts';
import type { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { binomialLimits } from '../../src/matching/rates/binomial-limits.ts';
import { searchAll } from '../gallery/search.ts';
import { probesOf, type Samples } from '../people/sought-people.ts';
import { inWords } from '../harness/words.ts';

const TARGETS = [0.99, 0.999, 0.9999];
const FPIR = 0.01;

const SAMPLES: Readonly<Record<ListKind, Samples>> = {
  finger: { fingers: 1, face: false },
  fingers: { fingers: 2, face: false },
  face: { fingers: 0, face: true },
  'finger+face': { fingers: 1, face: true },
};

/** Prints a row for each kind of probes and each target. @param samples - kinds that need others are left out */
export async function printTargets(
  gallery: Gallery,
  pool: WorkerPool,
  mated: number,
  samples: Samples,
  json: boolean,
): Promise<void> {
  const rows: Record<string, unknown>[] = [];
  const known = new Map<ListKind, Reached>();
  for (const target of TARGETS) {
    const { figures, cpuSeconds } = await measure(gallery, pool, target);
    for (const one of figures) {
      const { fingers, face } = SAMPLES[one.kind];
      if (fingers > samples.fingers || (face && !samples.face) || one.state !== 'measured') continue;
      let reached = known.get(one.kind);
      if (reached === undefined) known.set(one.kind, (reached = new Reached(gallery, pool, mated, one.kind)));
      rows.push({ target, 'CPU s of all kinds': cpuSeconds, ...(await rowOf(one, gallery, reached)) });
    }
  }
  if (json) console.log(JSON.stringify({ subjects: gallery.subjectCount, mated, rows }));
  else console.table(inWords(rows));
}

async function measure(gallery: Gallery, pool: WorkerPool, targetHitRate: number) {
  pool.lengths.clear();
  const started = process.cpuUsage();
  const tuning = new ListTuning({
    targetHitRate,
    targetFpir: FPIR,
    served: { current: gallery },
    pool,
    idle: () => Promise.resolve(),
    onMeasured: () => undefined,
    onError: (error) => {
      throw error;
    },
  });
  await tuning.run();
  const { user, system } = process.cpuUsage(started);
  return { figures: tuning.figures, cpuSeconds: Math.round((user + system) / 1e6) };
}

async function rowOf(
  { kind, shares, trials, hits, hitRateLower, isReached }: ListFigures,
  gallery: Gallery,
  reached: Reached,
) {
  const subjects = gallery.storedSubjectCount;
  const sizes = listSizes(kind, shares, subjects, 10);
  const places = await reached.places();
  const bare = { ranked: Math.ceil(shares.ranked * subjects), wanted: Math.ceil(shares.compared * subjects) };
  const { first, missed } = await reached.searches(`${sizes.ranked} ${sizes.wanted}`);
  return {
    kind,
    ranked: sizes.ranked,
    compared: sizes.wanted,
    'ranked %': percent(shares.ranked),
    'compared %': percent(shares.compared),
    'measured probes': trials,
    'measured hit rate %, lower limit': `${percent(hits / trials)}, ${percent(hitRateLower)}`,
    'target shown': isReached,
    'others, hit rate % [95 %]': rateOf(first, first + missed),
    'others, shares without minimum': rateOf(
      hitsOf(places, kind === 'face' ? { ...bare, wanted: sizes.wanted } : bare),
      places.length,
    ),
  };
}

function rateOf(hits: number, trials: number): string {
  const [low, high] = binomialLimits(hits, trials);
  return `${percent(hits / trials)} [${percent(low)}, ${percent(high)}] of ${trials}`;
}

function percent(share: number): string {
  return (100 * share).toFixed(2);
}

/** Searches with the probes of the enrolled people, by the lengths that the pool has at the time. */
class Reached {
  readonly #gallery: Gallery;
  readonly #pool: WorkerPool;
  readonly #mated: number;
  readonly #kind: ListKind;
  /** Whether an exact search ranks a person's mate first; known only for some. */
  readonly #exact = new Map<number, boolean>();
  /** Results by list sizes. */
  readonly #searches = new Map<string, { readonly first: number; readonly missed: number }>();
  #places: MatePlace[] | undefined;

  constructor(gallery: Gallery, pool: WorkerPool, mated: number, kind: ListKind) {
    this.#gallery = gallery;
    this.#pool = pool;
    this.#mated = mated;
    this.#kind = kind;
  }

  /**
   * Mates ranked first by the indexed search, and those that only an exact one ranks first.
   * @param sizes - name of the present list sizes
   */
  async searches(sizes: string): Promise<{ readonly first: number; readonly missed: number }> {
    const known = this.#searches.get(sizes);
    if (known !== undefined) return known;
    let [first, missed] = [0, 0];
    for (let person = 0; person < this.#mated; person++) {
      if (await this.#isFirst(person, new IndexedScan(this.#pool))) first++;
      else if (await this.#isFirstExactly(person)) missed++;
    }
    const result = { first, missed };
    this.#searches.set(sizes, result);
    return result;
  }

  /** The places of the mates that reach the threshold. */
  async places(): Promise<readonly MatePlace[]> {
    if (this.#places !== undefined) return this.#places;
    const found: MatePlace[] = [];
    const buffers = new ValueBuffers();
    for (let person = 0; person < this.#mated; person++) {
      const mate = this.#gallery.subject(`m${person}`);
      const probes = await probesOf(this.#pool, person, SAMPLES[this.#kind]);
      if (mate === undefined || probes.some(({ packed }) => packed === undefined)) continue;
      const { signal } = new AbortController();
      const place = await placeMate(this.#gallery, this.#pool, probes, mate, FPIR, buffers, signal);
      if (place !== undefined) found.push(place);
    }
    return (this.#places = found);
  }

  async #isFirstExactly(person: number): Promise<boolean> {
    const known = this.#exact.get(person) ?? (await this.#isFirst(person, new ExactScan(this.#pool)));
    this.#exact.set(person, known);
    return known;
  }

  async #isFirst(person: number, source: IndexedScan | ExactScan): Promise<boolean> {
    const probes = await probesOf(this.#pool, person, SAMPLES[this.#kind]);
    // The mates that probes are counted for, see place-mate.ts.
    const changes = this.#kind === 'face' ? {} : { threshold: { targetFpir: FPIR } };
    const { candidates } = await searchAll(this.#gallery, this.#pool, probes, () => source, changes);
    return candidates[0]?.subject.subjectId === `m${person}`;
  }
}
