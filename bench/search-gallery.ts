/**
 * Large galleries of synthetic people for the searches' benches: two index fingers each. Made once by all threads, chunk
 * by chunk, and kept in the temporary folder, so that what was interrupted goes on where it was.
 *
 * People beyond the first `WHOLE` are put together from two halves of fingers of those, either of them mirrored or not,
 * because making a finger takes longer than encoding it: a gallery of a million would take an hour. Searches that are
 * measured look for none of them, and what lies beside a real half is another half each time.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Presets, SingleBar } from 'cli-progress';
import { Piscina } from 'piscina';
import { createPerson } from '../fixtures/person.ts';
import { Gallery, type SearchableReference } from '../src/gallery/gallery.ts';
import { gallerySizing, SEGMENT_CAPACITY } from '../src/matching/gallery-sizing.ts';
import { ReferenceEncoder } from '../src/matching/reference-encoder.ts';
import { toFingerTemplate } from '../src/templates/normalise.ts';
import { splitPacked } from './packed-file.ts';

export const GALLERY_SEED = 0x5ea7c4;
/** People per chunk. */
const CHUNK = 2500;

export interface ChunkTask {
  readonly seed: number;
  readonly from: number;
  readonly to: number;
}

/** A gallery without anybody in it, with segments of the service's form. */
export function emptyGallery(): Gallery {
  return new Gallery(gallerySizing(SEGMENT_CAPACITY));
}

/** Puts the first `people` of the synthetic gallery into `gallery`, under the names s0, s1, … */
export async function fillGallery(gallery: Gallery, people: number, threads: number): Promise<void> {
  const folder = join(tmpdir(), `ridgewatch-search-${galleryKey()}`);
  mkdirSync(folder, { recursive: true });
  const chunks = Array.from({ length: Math.ceil(people / CHUNK) }, (_, i) => i);
  const missing = chunks.filter((chunk) => !existsSync(chunkFile(folder, chunk)));
  if (missing.length > 0) await makeChunks(folder, missing, threads);
  for (const chunk of chunks) load(gallery, readFileSync(chunkFile(folder, chunk)), chunk * CHUNK, people);
}

/** What a gallery's bytes are like: a digest of a few of its fingers, as they are encoded now. */
function galleryKey(): string {
  const encoder = new ReferenceEncoder();
  const digest = createHash('sha256');
  for (let person = 0; person < 10; person++) {
    const record = createPerson(GALLERY_SEED, person).fingerImpression(2, 0);
    digest.update(encoder.encode(toFingerTemplate(record, record.views[0])) ?? '');
  }
  return digest.digest('hex').slice(0, 16);
}

function chunkFile(folder: string, chunk: number): string {
  return join(folder, `${chunk}.bin`);
}

async function makeChunks(folder: string, chunks: readonly number[], threads: number): Promise<void> {
  const pool = new Piscina<ChunkTask, Uint8Array>({
    filename: new URL('./search-gallery-worker.ts', import.meta.url).href,
    maxThreads: threads,
  });
  const bar = new SingleBar(
    { format: 'gallery {bar} {value}/{total} × 2500 people {duration_formatted}' },
    Presets.shades_classic,
  );
  bar.start(chunks.length, 0);
  await Promise.all(
    chunks.map(async (chunk) => {
      const bytes = await pool.run({ seed: GALLERY_SEED, from: chunk * CHUNK, to: (chunk + 1) * CHUNK });
      writeFileSync(`${chunkFile(folder, chunk)}.part`, bytes);
      renameSync(`${chunkFile(folder, chunk)}.part`, chunkFile(folder, chunk));
      bar.increment();
    }),
  );
  bar.stop();
  await pool.close();
}

const ATTRIBUTES = {
  version: 1,
  contributor: 'bench',
  galleries: new Set(['bench']),
  caveats: [],
  provenance: 'synthetic',
  expireTimeMs: undefined,
  notComparableCount: 0,
} as const;

/** Enrols one person with a right and a left index finger. */
export function enrol(gallery: Gallery, subjectId: string, fingers: readonly (Uint8Array | undefined)[]): void {
  const references = fingers.flatMap((packed, i): SearchableReference[] =>
    packed === undefined
      ? []
      : [{ referenceId: `${subjectId}-${i}`, partition: { modality: 'finger', position: i === 0 ? 2 : 7 }, packed }],
  );
  gallery.load(subjectId, ATTRIBUTES, references);
}

/** Two fingers for each person; one that is not comparable has no bytes. */
function load(gallery: Gallery, bytes: Buffer, first: number, people: number): void {
  const fingers = splitPacked(bytes).map((packed) => (packed.length === 0 ? undefined : packed));
  for (let i = 0; 2 * i < fingers.length && first + i < people; i++)
    enrol(gallery, `s${first + i}`, [fingers[2 * i], fingers[2 * i + 1]]);
}
