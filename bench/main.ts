/** `npm run bench -- NAME [options]`: runs one of the measurements, each of which is a program of its own. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const BENCHES: Readonly<Record<string, string>> = {
  accuracy: 'error rates of the finger comparison on real prints, DET plot, scores (--data DIR …; --help)',
  ablations: 'what each part of the finger comparison buys, held out by person (--data DIR …; --help)',
  fpir: 'false positive identification rates delivered against those requested (--data DIR: faces, --prints DIR)',
  'hit-rate': 'candidate vectors: mates found among synthetic prints, held out by person (--data DIR …)',
  search: 'searches among many: cost by the exact and the indexed way, and mates that the index loses (--subjects N)',
  growth: 'what searches cost from 10,000 subjects to 1,000,000, a plot, and what that predicts (--plot FILE)',
  graph: 'what a graph of faces would find of what the exact scan finds, and at what cost (--data DIR …; --help)',
  throughput: 'searches a second with two workers against one, and what the kernels alone reach',
  load: 'Identify over gRPC at rising rates and at three times too many, and enrolments beside searches',
  index: 'building, verifying and loading an index, and switching to one under load (--subjects N)',
  import: 'importing many records in one go, killed on the way, and what an index and a start gain (--references N)',
  rewriting:
    'cost of rewriting segments after half of a gallery was expunged, pauses, memory given back (--subjects N)',
  'identify-latency': 'Identify over gRPC on the demo gallery: p50, p99, throughput with 1 and 8 callers',
  replicas: 'how soon a second service on the same database finds who was enrolled with the first (--enrolments N)',
  durability: 'kills the service, its database and index builds in their work, and counts what is lost (--rounds N)',
  kernels: 'comparisons a second of each build of the kernels and of the reference (--rounds N, --json)',
  'fixture-statistics': 'synthetic people beside real data (--data DIR)',
  refusals: 'malformed inputs and what each is answered with',
};

const [name = '', ...rest] = process.argv.slice(2);
if (!(name in BENCHES)) {
  console.error('npm run bench -- NAME [options], with one of:\n');
  for (const [bench, what] of Object.entries(BENCHES)) console.error(`  ${bench.padEnd(20)}${what}`);
  process.exit(2);
}
const { status } = spawnSync(process.execPath, [join(import.meta.dirname, `${name}.ts`), ...rest], {
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
