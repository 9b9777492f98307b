import { createPerson } from '../../fixtures/person.ts';
import { Random } from '../../src/random.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { ReferenceEncoder } from '../../src/matching/kernels/reference-encoder.ts';
import type { FingerTemplate, Minutia } from '../../src/templates/finger-template.ts';
import { toFingerTemplate } from '../../src/templates/normalise.ts';
import { joinPacked } from './packed-file.ts';
import { faceTemplate } from '../people/synthetic-face.ts';
import type { ChunkTask } from './synthetic-gallery.ts';

/** Number of people whose fingers are not composed of halves. */
const WHOLE = 50_000;
/** Whole fingers from which the halves of a chunk are taken; other ones for each chunk. */
const PARENTS = 400;

const encoder = new ReferenceEncoder();

/** Makes the fingers or faces of the people `from` to `to`: two fingers each, or a face; see packed-file.ts. */
export default function makeChunk(task: ChunkTask): Uint8Array {
  return task.part === 'faces' ? makeFaces(task) : makeFingers(task);
}

function makeFaces({ seed, from, to }: ChunkTask): Uint8Array {
  const people = Array.from({ length: to - from }, (_, i) => createPerson(seed, from + i));
  return joinPacked(people.map((person) => packFace(faceTemplate(person.faceEmbedding(0)))));
}

function makeFingers({ seed, from, to }: ChunkTask): Uint8Array {
  const fingers: Uint8Array[] = [];
  const random = new Random(seed, from, 1);
  const parents = from < WHOLE ? [] : Array.from({ length: PARENTS }, () => wholeFinger(seed, random.below(WHOLE), 2));
  for (let person = from; person < to; person++) {
    for (const position of [2, 7] as const) {
      const pick = () => parents[random.below(PARENTS)];
      const template = person < WHOLE ? wholeFinger(seed, person, position) : ofHalves(pick(), pick(), random);
      fingers.push(encoder.encode(template) ?? new Uint8Array(0));
    }
  }
  return joinPacked(fingers);
}

function wholeFinger(seed: number, person: number, position: 2 | 7): FingerTemplate {
  const record = createPerson(seed, person).fingerImpression(position, 0);
  return toFingerTemplate(record, record.views[0]);
}

/** The left half of one finger beside the right half of another. */
function ofHalves(left: FingerTemplate, right: FingerTemplate, random: Random): FingerTemplate {
  const [a, b] = [left, right].map(({ minutiae }) => centred(random.below(2) === 1 ? mirrored(minutiae) : minutiae));
  const minutiae = [...a.filter(({ x }) => x < 0), ...b.filter(({ x }) => x >= 0)].slice(0, 64);
  return { ...left, minutiae };
}

function mirrored(minutiae: readonly Minutia[]): Minutia[] {
  return minutiae.map((minutia) => ({ ...minutia, x: -minutia.x, angle: (128 - minutia.angle) & 255 }));
}

function centred(minutiae: readonly Minutia[]): Minutia[] {
  const middle = (key: 'x' | 'y') => Math.round(minutiae.reduce((sum, m) => sum + m[key], 0) / minutiae.length);
  const [x, y] = [middle('x'), middle('y')];
  return minutiae.map((minutia) => ({ ...minutia, x: minutia.x - x, y: minutia.y - y }));
}
