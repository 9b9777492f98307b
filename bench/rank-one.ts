/**
 * Identification of real prints with the finger kernel: rank-1 (gallery = impression 1 of each finger), EER and FNMR over
 * all pairs, and the time of a comparison of different fingers on one thread.
 *
 *   npx tsx bench/rank-one.ts --data ../shared/data/fingerprints/fvc2002-secugen/DB1_B [--data …] [--json]
 *
 * Files are named <finger>_<impression>.iso or <person>_<finger>_<impression>.iso.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DirectComparer } from '../src/matching/direct-comparison.ts';
import { kernelHash } from '../src/matching/kernels.ts';
import type { PackedProbe } from '../src/matching/messages.ts';
import { decodeIso197942 } from '../src/templates/iso-19794-2-2005.ts';
import { toFingerTemplate } from '../src/templates/normalise.ts';
import { errorRates } from './error-rates.ts';

interface Print {
  readonly finger: string;
  readonly impression: number;
  readonly packed: PackedProbe | undefined;
}

const { values } = parseArgs({
  options: { data: { type: 'string', multiple: true }, json: { type: 'boolean', default: false } },
});
if (values.data === undefined) {
  console.error('Say which folders to read: --data DIR [--data DIR …]');
  process.exit(2);
}

const comparer = new DirectComparer();
const results = values.data.map(measure);
if (values.json) console.log(JSON.stringify({ kernel: kernelHash(), results }));
else console.table(Object.fromEntries(results.map(({ folder, ...figures }) => [folder, figures])));

function read(folder: string): { prints: Print[]; encodeMs: number } {
  let encodeMs = 0;
  const names = readdirSync(folder).filter((name) => name.endsWith('.iso'));
  const prints = names.sort().flatMap((name) => {
    const record = decodeIso197942(readFileSync(join(folder, name)));
    const parts = name.slice(0, -4).split('_');
    return record.views.map((view) => {
      const template = toFingerTemplate(record, view);
      const started = performance.now();
      const packed = comparer.pack(template);
      encodeMs += performance.now() - started;
      return { finger: parts.slice(0, -1).join('_'), impression: Number(parts.at(-1)), packed };
    });
  });
  return { prints, encodeMs: encodeMs / prints.length };
}

function compare(a: Print, b: Print): number {
  return (a.packed && b.packed && comparer.comparePacked(a.packed, b.packed)) ?? 0;
}

function measure(folder: string) {
  const { prints, encodeMs } = read(folder);
  const genuine: number[] = [];
  const impostor: number[] = [];
  let impostorMs = 0;
  prints.forEach((a, i) => {
    const others = prints.slice(i + 1);
    genuine.push(...others.filter((b) => b.finger === a.finger).map((b) => compare(a, b)));
    const started = performance.now();
    impostor.push(...others.filter((b) => b.finger !== a.finger).map((b) => compare(a, b)));
    impostorMs += performance.now() - started;
  });
  const first = Math.min(...prints.map(({ impression }) => impression));
  const gallery = prints.filter(({ impression }) => impression === first);
  const probes = prints.filter(
    ({ impression, finger }) => impression !== first && gallery.some((g) => g.finger === finger),
  );
  const identified = probes.filter((probe) => {
    const scores = gallery.map((reference) => compare(probe, reference));
    const mate = scores[gallery.findIndex(({ finger }) => finger === probe.finger)];
    // A mate that shares the first place with somebody else does not count.
    return mate > 0 && scores.filter((score) => score >= mate).length === 1;
  });
  const percent = (share: number) => Number((100 * share).toFixed(2));
  const rates = errorRates(genuine, impostor);
  return {
    folder: folder.split('/').slice(-2).join('/'),
    'rank-1 %': percent(identified.length / probes.length),
    'EER %': percent(rates.eer),
    'FNMR % at FMR 1e-2': percent(rates.fnmrAt(0.01)),
    'FNMR % at FMR 1e-3': percent(rates.fnmrAt(0.001)),
    genuine: genuine.length,
    impostor: impostor.length,
    'impostor µs': Number(((1000 * impostorMs) / impostor.length).toFixed(1)),
    'encode ms': Number(encodeMs.toFixed(2)),
  };
}
