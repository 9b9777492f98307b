/**
 * Makes the tables that map comparison scores to false match rates, from comparisons of different people.
 *
 *   npx tsx index-builder/calibrate.ts finger --data DIR… [--synthetic N] --out src/matching/calibration/finger.json
 *   npx tsx index-builder/calibrate.ts face --data DIR --out src/matching/calibration/face.json
 *
 * finger: each DIR is a set of <finger>_<impression>.iso files of one source; sets are not mixed, and the table takes
 * the worst of them at every score, so that no source is promised a better rate than it has.
 * face: DIR holds embeddings.f32 (512 components each) and embeddings.tsv (identity in the first column).
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { createPerson } from '../fixtures/person.ts';
import { DirectComparer } from '../src/matching/direct-comparison.ts';
import { kernelHash } from '../src/matching/kernels.ts';
import { decodeFloat32Embedding } from '../src/templates/face-embedding.ts';
import { decodeIso197942 } from '../src/templates/iso-19794-2-2005.ts';
import { toFingerTemplate } from '../src/templates/normalise.ts';
import { makeTable, type ScoreHistogram } from './calibration-table.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: 'string', multiple: true, default: [] },
    synthetic: { type: 'string', default: '0' },
    out: { type: 'string' },
  },
});
const [modality] = positionals;
if ((modality !== 'finger' && modality !== 'face') || values.out === undefined) {
  console.error('usage: calibrate.ts finger|face --data DIR… [--synthetic N] --out FILE');
  process.exit(2);
}
const comparer = new DirectComparer();
const sources =
  modality === 'finger'
    ? [...values.data.map(fingerSet), ...(Number(values.synthetic) > 0 ? [syntheticSet(Number(values.synthetic))] : [])]
    : values.data.map(faceSet);
const table = makeTable(sources, modality === 'finger' ? 10 : 50);
writeFileSync(values.out, `${JSON.stringify({ kernel: kernelHash(), ...table }, undefined, 2)}\n`);
console.log(`${values.out}: ${table.version}, ${table.scores.length} entries, ${table.sources.join('; ')}`);

interface Labelled {
  readonly person: string;
  readonly packed: ReturnType<DirectComparer['pack']>;
}

function fingerSet(folder: string): ScoreHistogram {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.iso'));
  const prints = names.sort().flatMap((name): Labelled[] => {
    const record = decodeIso197942(readFileSync(join(folder, name)));
    // The impression is the last number; what is before it, folder included, names the finger.
    const person = name.replace(/_\d+\.iso$/, '');
    return record.views.map((view) => ({ person, packed: comparer.pack(toFingerTemplate(record, view)) }));
  });
  return compareDifferent(basename(folder), prints);
}

function syntheticSet(people: number): ScoreHistogram {
  const prints = Array.from({ length: people }, (_, i): Labelled => {
    const record = createPerson(0x5ca1e, i).fingerImpression(2, 1);
    const [view] = record.views;
    return { person: String(i), packed: view && comparer.pack(toFingerTemplate(record, view)) };
  });
  return compareDifferent(`synthetic ${people}`, prints);
}

function faceSet(folder: string): ScoreHistogram {
  const bytes = readFileSync(join(folder, 'embeddings.f32'));
  const rows = readFileSync(join(folder, 'embeddings.tsv'), 'utf8').trim().split('\n').slice(1);
  const dimension = 512;
  const faces = rows.map((row, i) => {
    const data = bytes.subarray(i * dimension * 4, (i + 1) * dimension * 4);
    const template = decodeFloat32Embedding(data, { modelId: 'calibration', dimension, quality: 0 });
    return { person: row.split('\t')[0] ?? '', values: template.values };
  });
  const scoreOfCosineOne = (127 * 127 * dimension) / (4.5 * 4.5);
  const counts = new Map<number, number>();
  let total = 0;
  faces.forEach((a, i) => {
    for (const b of faces.slice(i + 1)) {
      if (a.person === b.person) continue;
      let product = 0;
      for (let k = 0; k < dimension; k++) product += a.values[k] * b.values[k];
      add(counts, Math.floor((product / scoreOfCosineOne) * 10_000));
      total++;
    }
  });
  return { name: basename(folder), counts, total };
}

function compareDifferent(name: string, prints: readonly Labelled[]): ScoreHistogram {
  const counts = new Map<number, number>();
  let total = 0;
  prints.forEach((a, i) => {
    for (const b of prints.slice(i + 1)) {
      if (a.person === b.person || sameVolunteers(a.person, b.person)) continue;
      add(counts, (a.packed && b.packed && comparer.comparePacked(a.packed, b.packed)) ?? 0);
      total++;
    }
  });
  return { name, counts, total };
}

/** FVC2002 DB1 and DB2 were taken from the same volunteers: fingers across them may be the same. */
function sameVolunteers(a: string, b: string): boolean {
  const database = (person: string) => /^(DB\d)_B/.exec(person)?.[1];
  const pair = new Set([database(a), database(b)]);
  return pair.has('DB1') && pair.has('DB2');
}

function add(counts: Map<number, number>, score: number): void {
  counts.set(score, (counts.get(score) ?? 0) + 1);
}
