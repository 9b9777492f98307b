/**
 * Statistics of synthetic people and of real data: minutiae, comparison scores, cosines of embeddings.
 *
 *   npm run bench -- fixture-statistics --data ../shared/data [--people 150] [--json]
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createPerson } from '../../fixtures/person.ts';
import { errorRates, sortScores } from '../../index-builder/statistics/error-rates.ts';
import { DirectComparer } from '../../src/matching/workers/direct-comparison.ts';
import type { PackedProbe } from '../../src/matching/kernels/packed-probe.ts';
import type { FingerTemplate } from '../../src/templates/finger-template.ts';
import { inWords } from '../harness/words.ts';
import { quantile } from '../harness/spread.ts';
import { decodeIso197942 } from '../../src/templates/iso-19794-2-2005.ts';
import { toFingerTemplate } from '../../src/templates/normalise.ts';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    people: { type: 'string', default: '150' },
    json: { type: 'boolean', default: false },
  },
});
const people = Number(values.people);
const IMPRESSIONS = 4;
const comparer = new DirectComparer();

interface Print {
  /** Prints are compared within a group only: one sensor, one set of people. */
  readonly group: string;
  readonly finger: string;
  readonly template: FingerTemplate;
  readonly packed: PackedProbe | undefined;
}

function print(group: string, finger: string, bytes: Uint8Array): Print[] {
  const record = decodeIso197942(bytes);
  return record.views.map((view) => {
    const template = toFingerTemplate(record, view);
    return { group, finger, template, packed: comparer.pack(template) };
  });
}

function realPrints(folder: string): Print[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.iso'));
  return names.sort().flatMap((name) => {
    const group = name.includes('/') ? (name.split('/')[0] ?? '') : '';
    return print(group, name.replace(/_\d+\.iso$/, ''), readFileSync(join(folder, name)));
  });
}

function syntheticPrints(): Print[] {
  return Array.from({ length: people }, (_, i) => createPerson(7, i)).flatMap((person, i) =>
    Array.from({ length: IMPRESSIONS }, (_, k) => print('', String(i), person.fingerRecord(2, k))).flat(),
  );
}

const quantiles = (values: readonly number[]) =>
  [0.05, 0.5, 0.95].map((q) => Number(quantile(values, q).toFixed(1))).join(' / ');
const percent = (share: number) => Number((100 * share).toFixed(2));

/** For each minutia: distance of its nearest neighbour, and difference of the two directions (degrees, 0 to 180). */
function neighbours({ minutiae }: FingerTemplate): { distance: number; turn: number }[] {
  return minutiae.map((m) => {
    const others = minutiae
      .filter((o) => o !== m)
      .map((o) => ({ distance: Math.hypot(o.x - m.x, o.y - m.y), turn: o.angle - m.angle }));
    const nearest = others.reduce((a, b) => (b.distance < a.distance ? b : a), { distance: Infinity, turn: 0 });
    const turn = ((nearest.turn % 256) + 256) % 256;
    return { distance: nearest.distance, turn: (Math.min(turn, 256 - turn) * 360) / 256 };
  });
}

function fingerFigures(prints: readonly Print[]) {
  const genuine: number[] = [];
  const impostor: number[] = [];
  prints.forEach((a, i) => {
    for (const b of prints.slice(i + 1)) {
      if (a.group !== b.group) continue;
      const score = (a.packed && b.packed && comparer.comparePacked(a.packed, b.packed)) ?? 0;
      (a.finger === b.finger ? genuine : impostor).push(score);
    }
  });
  const all = prints.flatMap(({ template }) => template.minutiae);
  const near = prints.flatMap(({ template }) => neighbours(template));
  const rates = errorRates(sortScores(genuine, impostor), [0.001]);
  return {
    prints: prints.length,
    'minutiae (5/50/95 %)': quantiles(prints.map(({ template }) => template.minutiae.length)),
    'nearest neighbour px': quantiles(near.map(({ distance }) => distance)),
    'neighbour turned < 30° %': percent(near.filter(({ turn }) => turn < 30).length / near.length),
    'neighbour turned > 150° %': percent(near.filter(({ turn }) => turn > 150).length / near.length),
    'ridge endings %': percent(all.filter(({ type }) => type === 1).length / all.length),
    'genuine scores': quantiles(genuine),
    'impostor 99 / 99.9 %': `${quantile(impostor, 0.99)} / ${quantile(impostor, 0.999)}`,
    'EER %': percent(rates.eer),
    'FNMR % at FMR 1e-3': percent(rates.points[0]?.fnmr ?? NaN),
  };
}

function faceFigures(faces: readonly { readonly person: string; readonly embedding: Float32Array }[]) {
  const genuine: number[] = [];
  const impostor: number[] = [];
  faces.forEach((a, i) => {
    faces.slice(i + 1).forEach((b, j) => {
      const isMate = a.person === b.person;
      // Every mated pair; of the non-mated pairs, enough for the quantiles.
      if (!isMate && (i * 31 + j) % 16 !== 0) return;
      let cosine = 0;
      for (let k = 0; k < a.embedding.length; k++) cosine += (a.embedding[k] ?? 0) * (b.embedding[k] ?? 0);
      (isMate ? genuine : impostor).push(cosine);
    });
  });
  const describe = (cosines: readonly number[]) => {
    const mean = cosines.reduce((sum, value) => sum + value, 0) / cosines.length;
    const deviation = Math.sqrt(cosines.reduce((sum, value) => sum + (value - mean) ** 2, 0) / cosines.length);
    return {
      mean: mean.toFixed(3),
      deviation: deviation.toFixed(3),
      '0.1 / 1 / 50 / 99 / 99.9 %': [0.001, 0.01, 0.5, 0.99, 0.999]
        .map((q) => quantile(cosines, q).toFixed(3))
        .join(' '),
    };
  };
  return { genuine: describe(genuine), impostor: describe(impostor) };
}

function realFaces(folder: string) {
  const bytes = readFileSync(join(folder, 'embeddings.f32'));
  const rows = readFileSync(join(folder, 'embeddings.tsv'), 'utf8').trim().split('\n').slice(1);
  return rows.map((row, i) => ({
    person: row.split('\t')[0] ?? '',
    embedding: Float32Array.from({ length: 512 }, (_, k) => bytes.readFloatLE((i * 512 + k) * 4)),
  }));
}

const syntheticFaces = Array.from({ length: 10 * people }, (_, i) => createPerson(7, i)).flatMap((person, i) =>
  [0, 1, 2].map((capture) => ({ person: String(i), embedding: person.faceEmbedding(capture) })),
);
const fingers: Record<string, ReturnType<typeof fingerFigures>> = { synthetic: fingerFigures(syntheticPrints()) };
const faces: Record<string, ReturnType<typeof faceFigures>> = { synthetic: faceFigures(syntheticFaces) };
if (values.data === undefined) console.error('No real data named with --data: the synthetic figures stand alone.');
else {
  for (const set of ['fvc2002-secugen', 'fvc2002-mindtct', 'fcj2020-mindtct'])
    fingers[set] = fingerFigures(realPrints(join(values.data, 'fingerprints', set)));
  faces['lfw-embeddings'] = faceFigures(realFaces(join(values.data, 'lfw-embeddings')));
}
if (values.json) console.log(JSON.stringify({ fingers, faces }));
else {
  console.table(
    inWords(
      Object.fromEntries(
        Object.keys(fingers.synthetic ?? {}).map((row) => [
          row,
          Object.fromEntries(
            Object.entries(fingers).map(([set, figures]) => [set, figures[row as keyof typeof figures]]),
          ),
        ]),
      ),
    ),
  );
  for (const kind of ['genuine', 'impostor'] as const) {
    console.log(`cosines of ${kind === 'genuine' ? 'mated' : 'non-mated'} pairs of faces`);
    console.table(Object.fromEntries(Object.entries(faces).map(([set, figures]) => [set, figures[kind]])));
  }
}
