/** The suites: each is a program in the folder of its name. */
import { join } from 'node:path';

interface Bench {
  readonly what: string;
  /** The output is passed on unchanged: it is no measurement, or describes the machine itself. */
  readonly isBare?: boolean;
}

export const BENCHES: Readonly<Record<string, Bench>> = {
  quick: { what: 'the short suite, three minutes, compared with the stored baseline', isBare: true },
  nightly: { what: 'the long suite, hours, and its report (--prints DIR …, --faces DIR …)', isBare: true },
  report: { what: 'one HTML page of all results, compared with the stored baseline (--out FILE)', isBare: true },
  kernels: { what: 'kernel throughput: each build, the reference, and the memory bound, interleaved (--rounds N)' },
  accuracy: { what: 'error rates of the finger comparison on real prints, DET plot, scores (--data DIR …; --help)' },
  strata: {
    what: 'FNMR and FMR by finger position, capture set, quality, and own columns (--data DIR …; --labels FILE)',
  },
  e1n: { what: 'one-to-many as NIST tabulates it: search times, FNIR at FPIR 10⁻¹ to 10⁻⁵, sizes (--subjects N)' },
  ablations: { what: 'error rates of the finger comparison without one part at a time (--data DIR …; --help)' },
  fpir: { what: 'delivered against requested false positive identification rates (--data DIR: faces, --prints DIR)' },
  'hit-rate': { what: 'hit rate of candidate vectors of real prints, held out by person (--data DIR …)' },
  penetration: { what: 'hit rate against penetration rate of candidate vectors (--subjects N)' },
  search: { what: 'search cost, exact and indexed, by stage, and hit rate of the index (--subjects N)' },
  'face-index': { what: 'what indexed search of real faces misses, among strangers of three models (--data DIR)' },
  scope: {
    what: 'search cost of small galleries in a large store, with expired and with masked subjects (--subjects N)',
  },
  growth: { what: 'search cost by gallery size, 10,000 to 1,000,000 subjects, plot, prediction (--plot FILE)' },
  graph: { what: 'HNSW against the scans: recall, time, growth, memory (--modality; --data DIR …; --help)' },
  throughput: { what: 'searches a second with two workers against one, and the bound set by the kernels' },
  batches: { what: 'searches a second of concurrent callers, scanned together against one by one (--callers N)' },
  load: { what: 'the service under open-loop load over gRPC, overload, and HTTP (--subjects N)' },
  soak: { what: 'a service under long load with faults: memory, latency, wrong results (--minutes M)' },
  index: { what: 'index build, verify, start, and reload under load (--subjects N)' },
  import: { what: 'bulk import: throughput, recovery after SIGKILL, index build, start (--references N)' },
  'record-life': { what: 'records at random, searched in every way: none found that may not be (--operations N)' },
  rewriting: { what: 'rewriting of segments after half of a gallery was expunged: CPU, pauses, memory (--subjects N)' },
  'identify-latency': { what: 'Identify over gRPC on the demo gallery: p50, p99, throughput with 1 and 8 callers' },
  hits: { what: 'hits to their owner: cuts of stream, database and service, none missed; latency (--cuts N)' },
  replicas: { what: 'replication delay between two services on one database (--enrolments N)' },
  durability: { what: 'crash recovery: SIGKILL of service, database, and index builds; lost changes (--rounds N)' },
  overhead: { what: 'what TLS, policies and the audit add to a search over gRPC, by turns (--subjects N)' },
  audit: { what: 'the audit: records a second, added latency, and records lost in kills (--rounds N)' },
  'fixture-statistics': { what: 'statistics of synthetic people and of real data (--data DIR)' },
  mutations: { what: 'damaged samples of every format: refused, or live = stored = imported (--inputs N, --data DIR)' },
  attacks: {
    what: 'attackers who rebuild a template from answers: calls until rebuilt, alarm, disabled (--defences; --data DIR)',
  },
  refusals: { what: 'malformed samples and the status, reason, and field of each refusal' },
};

/** The program of a suite. */
export function programOf(name: string): string {
  return join(import.meta.dirname, '..', name, 'main.ts');
}
