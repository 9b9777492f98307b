/** The suites that there are: a program for each, in the folder of its name. */
import { join } from 'node:path';

interface Bench {
  readonly what: string;
  /** It prints what it prints: no measurement of its own, or one that describes the machine itself. */
  readonly isBare?: boolean;
}

export const BENCHES: Readonly<Record<string, Bench>> = {
  quick: { what: 'what can be said in three minutes, and how it compares with the stored baseline', isBare: true },
  nightly: { what: 'everything, for hours; then the report (--prints DIR …, --faces DIR …)', isBare: true },
  report: { what: 'one page of all that was measured, beside the stored baseline (--out FILE)', isBare: true },
  kernels: { what: 'each build of each kernel, the reference and reading memory, by turns (--rounds N)' },
  accuracy: { what: 'error rates of the finger comparison on real prints, DET plot, scores (--data DIR …; --help)' },
  strata: {
    what: 'error rates by finger position, capture set, quality, and columns of yours (--data DIR …; --labels FILE)',
  },
  e1n: { what: 'one-to-many as NIST tabulates it: search times, FNIR at FPIR 10⁻¹ to 10⁻⁵, sizes (--subjects N)' },
  ablations: { what: 'what each part of the finger comparison buys, held out by person (--data DIR …; --help)' },
  fpir: {
    what: 'false positive identification rates delivered against those requested (--data DIR: faces, --prints DIR)',
  },
  'hit-rate': { what: 'candidate vectors: mates found among synthetic prints, held out by person (--data DIR …)' },
  penetration: { what: 'how many mates lie among the first of a gallery ordered by candidate vectors (--subjects N)' },
  search: {
    what: 'searches among many: cost by the exact and the indexed way, stages, and mates that the index loses (--subjects N)',
  },
  scope: {
    what: 'searches of small galleries in a large store, and among subjects some of whom have expired (--subjects N)',
  },
  growth: {
    what: 'what searches cost from 10,000 subjects to 1,000,000, a plot, and what that predicts (--plot FILE)',
  },
  graph: {
    what: 'what a graph of faces would find of what the exact scan finds, and at what cost (--data DIR …; --help)',
  },
  throughput: { what: 'searches a second with two workers against one, and what the kernels alone reach' },
  load: {
    what: 'calls of all kinds over gRPC at rising rates and at three times too many, and HTTP beside them (--subjects N)',
  },
  soak: {
    what: 'a service with changes, new indexes and faults for as long as is asked: memory, latency, answers (--minutes M)',
  },
  index: { what: 'building, verifying and loading an index, and switching to one under load (--subjects N)' },
  import: {
    what: 'importing many records in one go, killed on the way, and what an index and a start gain (--references N)',
  },
  rewriting: {
    what: 'cost of rewriting segments after half of a gallery was expunged, pauses, memory given back (--subjects N)',
  },
  'identify-latency': { what: 'Identify over gRPC on the demo gallery: p50, p99, throughput with 1 and 8 callers' },
  replicas: {
    what: 'how soon a second service on the same database finds who was enrolled with the first (--enrolments N)',
  },
  durability: {
    what: 'kills the service, its database and index builds in their work, and counts what is lost (--rounds N)',
  },
  'fixture-statistics': { what: 'synthetic people beside real data (--data DIR)' },
  mutations: {
    what: 'damaged samples of every format: refused with a reason, or live = stored = imported (--inputs N, --data DIR)',
  },
  refusals: { what: 'malformed inputs and what each is answered with' },
};

/** The program of a suite. */
export function programOf(name: string): string {
  return join(import.meta.dirname, '..', name, 'main.ts');
}
