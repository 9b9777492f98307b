/**
 * Large galleries of synthetic people for the search benches: two index fingers each, and a face on request. Made once
 * by all threads, chunk by chunk, and kept in the temporary folder: an interrupted run resumes.
 *
 * Fingers of people beyond the first `WHOLE` are composed of two halves of the first people's fingers, each mirrored or
 * not: making a finger takes longer than encoding it, and a gallery of a million would take an hour. Measured searches
 * are for none of these people, and the halves of each finger are drawn at random.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Presets, SingleBar } from 'cli-progress';
import { Piscina } from 'piscina';
import { FACE_DIMENSION } from '../../fixtures/face.ts';
import { createPerson } from '../../fixtures/person.ts';
import type { PartitionName } from '../../src/gallery/catalogue.ts';
import { Gallery, type SearchableReference } from '../../src/gallery/gallery.ts';
import { gallerySizing, SEGMENT_CAPACITY } from '../../src/matching/workers/gallery-sizing.ts';
import { ReferenceEncoder } from '../../src/matching/kernels/reference-encoder.ts';
import { toFingerTemplate } from '../../src/templates/normalise.ts';
import { SEEDS } from '../harness/seeds.ts';
import { FACE_MODEL } from '../people/synthetic-face.ts';
import { splitPacked } from './packed-file.ts';

/** People per chunk. */
const CHUNK = 2500;

/** Samples of each person in a gallery. */
export type Part = 'fingers' | 'faces';

export interface ChunkTask {
  readonly part: Part;
  readonly seed: number;
  readonly from: number;
  readonly to: number;
}

/** An empty gallery with segments as in the service. */
export function emptyGallery(): Gallery {
  return new Gallery(gallerySizing(SEGMENT_CAPACITY));
}

/** Puts the first `people` of the synthetic gallery into `gallery`, under the names s0, s1, … */
export async function fillGallery(
  gallery: Gallery,
  people: number,
  threads: number,
  parts: readonly Part[] = ['fingers'],
): Promise<void> {
  await addPeople(gallery, 0, people, threads, parts);
}

/** Adds the people `from` to `to` to a gallery that holds the people before. */
export async function addPeople(
  gallery: Gallery,
  from: number,
  to: number,
  threads: number,
  parts: readonly Part[],
): Promise<void> {
  const folder = await haveChunks(from, to, threads, parts);
  for (const chunk of chunksOf(from, to)) {
    const records = (part: Part) =>
      parts.includes(part) ? splitPacked(readFileSync(chunkFile(folder, part, chunk))) : [];
    const [fingers, faces] = [records('fingers'), records('faces')];
    for (let i = Math.max(0, from - chunk * CHUNK); i < CHUNK && chunk * CHUNK + i < to; i++)
      enrol(gallery, `s${chunk * CHUNK + i}`, [fingers[2 * i], fingers[2 * i + 1]], faces[i]);
  }
}

/** The two packed fingers of each of the first `people`. */
export async function* fingersOf(people: number, threads: number): AsyncGenerator<readonly [Uint8Array, Uint8Array]> {
  const folder = await haveChunks(0, people, threads, ['fingers']);
  for (const chunk of chunksOf(0, people)) {
    const fingers = splitPacked(readFileSync(chunkFile(folder, 'fingers', chunk)));
    for (let i = 0; i < CHUNK && chunk * CHUNK + i < people; i++) yield [fingers[2 * i], fingers[2 * i + 1]];
  }
}

/** The packed faces of the first `people`. */
export async function* facesOf(people: number, threads: number): AsyncGenerator<Uint8Array> {
  const folder = await haveChunks(0, people, threads, ['faces']);
  for (const chunk of chunksOf(0, people))
    yield* splitPacked(readFileSync(chunkFile(folder, 'faces', chunk))).slice(0, people - chunk * CHUNK);
}

function chunksOf(from: number, to: number): number[] {
  return Array.from({ length: Math.ceil(to / CHUNK) }, (_, i) => i).slice(Math.floor(from / CHUNK));
}

/** Makes the missing chunks. @returns their folder */
async function haveChunks(from: number, to: number, threads: number, parts: readonly Part[]): Promise<string> {
  const folder = join(tmpdir(), `ridgewatch-search-${galleryKey()}`);
  mkdirSync(folder, { recursive: true });
  const missing = parts.flatMap((part) =>
    chunksOf(from, to)
      .filter((chunk) => !existsSync(chunkFile(folder, part, chunk)))
      .map((chunk) => ({ part, chunk })),
  );
  if (missing.length > 0) await makeChunks(folder, missing, threads);
  return folder;
}

/** Identifies the present encoding: a digest of a few encoded people. */
function galleryKey(): string {
  const encoder = new ReferenceEncoder();
  const digest = createHash('sha256');
  for (let person = 0; person < 10; person++) {
    const record = createPerson(SEEDS.gallery, person).fingerImpression(2, 0);
    digest.update(encoder.encode(toFingerTemplate(record, record.views[0])) ?? '');
  }
  return digest.digest('hex').slice(0, 16);
}

function chunkFile(folder: string, part: Part, chunk: number): string {
  return join(folder, part === 'fingers' ? `${chunk}.bin` : `${part}-${chunk}.bin`);
}

async function makeChunks(
  folder: string,
  chunks: readonly { readonly part: Part; readonly chunk: number }[],
  threads: number,
): Promise<void> {
  const pool = new Piscina<ChunkTask, Uint8Array>({
    filename: new URL('./chunk-worker.ts', import.meta.url).href,
    maxThreads: threads,
  });
  const bar = new SingleBar(
    { format: 'gallery {bar} {value}/{total} × 2500 people {duration_formatted}' },
    Presets.shades_classic,
  );
  bar.start(chunks.length, 0);
  await Promise.all(
    chunks.map(async ({ part, chunk }) => {
      const bytes = await pool.run({ part, seed: SEEDS.gallery, from: chunk * CHUNK, to: (chunk + 1) * CHUNK });
      const file = chunkFile(folder, part, chunk);
      writeFileSync(`${file}.part`, bytes);
      renameSync(`${file}.part`, file);
      bar.increment();
    }),
  );
  bar.stop();
  await pool.close();
}

/** The partition of the faces. */
const FACES = { modality: 'face', modelId: FACE_MODEL, dimension: FACE_DIMENSION } as const;

const ATTRIBUTES = {
  version: 1,
  contributor: 'bench',
  galleries: new Set(['bench']),
  caveats: [],
  provenance: 'synthetic',
  searchedUntilMs: undefined,
  minorUntilMs: undefined,
  handling: undefined,
  notComparableCount: 0,
} as const;

/** Enrols one person: a right and a left index finger, a face. Undefined or empty ones are left out. */
export function enrol(
  gallery: Gallery,
  subjectId: string,
  fingers: readonly (Uint8Array | undefined)[],
  face?: Uint8Array,
): void {
  const references: SearchableReference[] = [];
  const add = (name: string, partition: PartitionName, packed: Uint8Array | undefined) => {
    if (packed !== undefined && packed.length > 0)
      references.push({ referenceId: `${subjectId}-${name}`, partition, packed });
  };
  fingers.forEach((packed, i) => add(String(i), { modality: 'finger', position: i === 0 ? 2 : 7 }, packed));
  add('face', FACES, face);
  gallery.load(subjectId, ATTRIBUTES, references);
}
