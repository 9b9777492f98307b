/**
 * Seeds of all that benches draw at random, in one place, because every document names them. A figure that is only there
 * with these seeds says nothing: `--seed N` adds N to each, and makes other people, other arrivals, other moments.
 */
import { DEMO_SEED } from '../../src/service/demo-gallery.ts';

/** In which the harness tells benches, and those their threads and processes, what was asked for. */
export const SEED_VARIABLE = 'RIDGEWATCH_BENCH_SEED';

const UNSHIFTED = {
  /** When calls arrive, and which; rounds and rates have their own by what is added to it. */
  arrivals: 0,
  /** When something is killed. */
  kills: 0x1177,
  /** The gallery of the benches that search in one process. */
  gallery: 0x5ea7c4,
  /** Who is sought in it. */
  probes: 0xb0de5,
  kernelFingers: 1,
  kernelFaces: 2,
  /** Among whom `hit-rate` looks for real prints. */
  hitRateGallery: 0x6a11e7,
  /** Faces that `graph` makes, and the layers that it puts them in. */
  strangers: 0x57a46e,
  layers: 100,
  /** Whose rates `strata` compares where there are no real prints. */
  strata: 0x57a7a,
  /** From whom `fpir` makes a table. */
  fpirTable: 0x7ab1e,
  /** Who is enrolled while a bench runs. */
  enrolled: 0xe27011,
  /** Who is expunged in `rewriting`. */
  expunged: 0x9e3779,
  /** Who is damaged in `mutations`, and how. */
  mutations: 0xda3a9e,
  /** Fingers that confidence limits are drawn with. */
  bootstrap: 0xb007,
} as const;

type Seeds = Readonly<Record<keyof typeof UNSHIFTED, number>>;

export const SEEDS: Seeds = seedsOf(asked());

/** As a document names them; the people of the demo gallery are always the same. */
export function namedSeeds(): Readonly<Record<string, number>> {
  const added = asked();
  return { 'added to each': added, ...seedsOf(added), demoPeople: DEMO_SEED };
}

/** @throws Error when it is not a whole number from 0 on */
function asked(): number {
  const given = process.env[SEED_VARIABLE] ?? '0';
  if (!/^\d{1,9}$/.test(given)) throw new Error(`--seed is a whole number from 0 on, not ${given}`);
  return Number(given);
}

function seedsOf(added: number): Seeds {
  return Object.fromEntries(Object.entries(UNSHIFTED).map(([name, seed]) => [name, seed + added])) as Seeds;
}
