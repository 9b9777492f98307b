/** Samples to damage: records of both standards, of one view and of several, and embeddings of both formats. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createPerson } from '../../fixtures/person.ts';
import type { FingerMinutiaeRecord, FingerView } from '../../src/templates/finger-minutiae-record.ts';
import { decodeIncits378, encodeIncits378 } from '../../src/templates/incits-378-2004.ts';
import { decodeIso197942, encodeIso197942 } from '../../src/templates/iso-19794-2-2005.ts';
import { decodeSample, type EncodedSample } from '../../src/templates/sample.ts';

const DIMENSION = 512;
const FLOAT_BYTES = 4;
const MODEL = 'm-1';
/** Extended data of each kind: ridge counts, a core and a delta, a vendor's. */
const EXTENDED = [
  { type: 1, data: Uint8Array.of(2, 1, 2, 3, 2, 3, 5) },
  { type: 2, data: Uint8Array.of(1, 0, 90, 0, 80, 1, 0, 40, 0, 50) },
  { type: 0x1234, data: Uint8Array.of(9, 8, 7) },
];

/** @param people - number of synthetic people */
export function syntheticOriginals(seed: number, people: number): EncodedSample[] {
  return Array.from({ length: people }, (_, i) => i).flatMap((index) => {
    const person = createPerson(seed, index);
    const [thumb, index2] = [person.fingerImpression(1, 0), person.fingerImpression(2, 1)];
    const several = severalViews(thumb, [...thumb.views, ...thumb.views, ...index2.views]);
    const embedding = person.faceEmbedding(0);
    return [
      finger('iso-19794-2-2005', encodeIso197942(thumb)),
      finger('iso-19794-2-2005', encodeIso197942(several)),
      finger('incits-378-2004', encodeIncits378(toIncits(index2))),
      finger('incits-378-2004', encodeIncits378({ ...toIncits(several), yResolution: 99 })),
      ...faces(Buffer.from(embedding.buffer, embedding.byteOffset, embedding.byteLength)),
    ];
  });
}

/**
 * Every n-th record of real prints and the standards' examples, unchanged and converted to the other standard; and some
 * embeddings.
 * @param folder - of the shared data
 */
export function realOriginals(folder: string, every: number): EncodedSample[] {
  const found: EncodedSample[] = [];
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.iso'));
  names.sort().forEach((name, i) => {
    if (i % every !== 0) return;
    const bytes = new Uint8Array(readFileSync(join(folder, name)));
    found.push(finger('iso-19794-2-2005', bytes));
    found.push(finger('incits-378-2004', encodeIncits378(toIncits(decodeIso197942(bytes)))));
  });
  const standards = join(folder, 'standards/fmr');
  for (const name of existsSync(standards) ? readdirSync(standards) : []) {
    const format = name.startsWith('incits') ? 'incits-378-2004' : 'iso-19794-2-2005';
    found.push(finger(format, new Uint8Array(readFileSync(join(standards, name)))));
  }
  const rows = join(folder, 'lfw-embeddings/embeddings.f32');
  if (!existsSync(rows)) return found;
  const bytes = readFileSync(rows);
  for (let at = 0; at < bytes.length; at += DIMENSION * FLOAT_BYTES * every) {
    found.push(...faces(bytes.subarray(at, at + DIMENSION * FLOAT_BYTES)));
  }
  return found;
}

/** The record with angles in INCITS units. */
export function toIncits(record: FingerMinutiaeRecord): FingerMinutiaeRecord {
  const views = record.views.map((view) => ({
    ...view,
    minutiae: view.minutiae.map((minutia) => ({ ...minutia, angle: Math.round((minutia.angle * 180) / 256) % 180 })),
  }));
  return decodeIncits378(encodeIncits378({ ...record, angleUnitsPerTurn: 180, productIdentifier: 0x00330001, views }));
}

/** Views numbered by finger, each with another kind of extended data. */
function severalViews(record: FingerMinutiaeRecord, views: readonly FingerView[]): FingerMinutiaeRecord {
  const numbered = views.map((view, i) => ({
    ...view,
    viewNumber: views.slice(0, i).filter(({ position }) => position === view.position).length,
    minutiae: view.minutiae.slice(i),
    extendedData: EXTENDED.slice(i % EXTENDED.length),
  }));
  return { ...record, imageWidth: 600, imageHeight: 600, views: numbered };
}

function finger(format: 'iso-19794-2-2005' | 'incits-378-2004', data: Uint8Array): EncodedSample {
  return { modality: 'finger', format, data, fingerPosition: 0, quality: 0, modelId: '', dimension: 0 };
}

/** A face unchanged, and in signed bytes. */
function faces(data: Uint8Array): EncodedSample[] {
  const common = { modality: 'face', fingerPosition: 0, quality: 0, modelId: MODEL, dimension: DIMENSION } as const;
  const floats: EncodedSample = { ...common, format: 'face-embedding-float32', data };
  const [decoded] = decodeSample(floats);
  if (decoded === undefined) throw new Error('an embedding gave no template');
  return [floats, { ...common, format: 'face-embedding-int8', data: decoded.record }];
}
