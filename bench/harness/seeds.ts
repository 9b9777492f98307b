/**
 * All random seeds of the benches; every document names them. `--seed N` adds N to each and gives other people,
 * arrivals and moments of kills: a figure that depends on the seeds has no meaning.
 */
import { DEMO_SEED } from '../../src/service/demo-gallery.ts';

/** Variable that passes --seed from the harness to benches, and from them to their threads and processes. */
export const SEED_VARIABLE = 'RIDGEWATCH_BENCH_SEED';

const UNSHIFTED = {
  /** Times and kinds of calls. Rounds and rates add a number of their own. */
  arrivals: 0,
  /** Moments of kills. */
  kills: 0x1177,
  /** The gallery of the benches that search in one process. */
  gallery: 0x5ea7c4,
  /** People of the probes. */
  probes: 0xb0de5,
  kernelFingers: 1,
  kernelFaces: 2,
  /** The synthetic gallery of `hit-rate`. */
  hitRateGallery: 0x6a11e7,
  /** Synthetic faces of `graph`, and their layers. */
  strangers: 0x57a46e,
  layers: 100,
  /** Synthetic people of `strata`, used without real prints. */
  strata: 0x57a7a,
  /** People of the table of `fpir`. */
  fpirTable: 0x7ab1e,
  /** People enrolled while a bench runs. */
  enrolled: 0xe27011,
  /** Subjects expunged in `rewriting`. */
  expunged: 0x9e3779,
  /** Samples and damage of `mutations`. */
  mutations: 0xda3a9e,
  /** Fingers drawn for confidence limits. */
  bootstrap: 0xb007,
  /** Targets, and the draws of attackers, in `attacks`. */
  attacks: 0xa77ac,
  /** People, changes and searches of `record-life`. */
  recordLife: 0x11fe,
  /** Moments and kinds of the cuts of `hits`. */
  hits: 0x417,
} as const;

type Seeds = Readonly<Record<keyof typeof UNSHIFTED, number>>;

export const SEEDS: Seeds = seedsOf(asked());

/** The seeds as named in a document. That of the demo gallery never changes. */
export function namedSeeds(): Readonly<Record<string, number>> {
  const added = asked();
  return { 'added to each': added, ...seedsOf(added), demoPeople: DEMO_SEED };
}

/** @throws Error if it is not a whole number from 0 on */
function asked(): number {
  const given = process.env[SEED_VARIABLE] ?? '0';
  if (!/^\d{1,9}$/.test(given)) throw new Error(`--seed is a whole number from 0 on, not ${given}`);
  return Number(given);
}

function seedsOf(added: number): Seeds {
  return Object.fromEntries(Object.entries(UNSHIFTED).map(([name, seed]) => [name, seed + added])) as Seeds;
}
