/**
 * Rewrites the golden results by the TypeScript reference, for when a change of scores is meant:
 *
 *     node tests/kernels/golden/write.ts            the results
 *     node tests/kernels/golden/write.ts --inputs   other templates too
 */
import { writeFileSync } from 'node:fs';
import { format } from 'prettier';
import { compareFacesReference } from '../../../src/matching/oracle/face-comparison.ts';
import { compareFingersReference } from '../../../src/matching/oracle/finger-comparison.ts';
import { encodeFingerReference } from '../../../src/matching/oracle/finger-encoding.ts';
import type { FingerTemplate } from '../../../src/templates/finger-template.ts';
import { garbage, random, secondImpression, somePrint } from '../../prints.ts';
import {
  everyPair,
  faceVectors,
  fingerTemplates,
  hashOf,
  INPUTS_FILE,
  readInputs,
  RESULTS_FILE,
  type GoldenInputs,
  type GoldenResults,
} from './golden.ts';

const FACE_DIMENSION = 80;

/** The same template, with the qualities of the sample and of every minutia stated. */
function rated(template: FingerTemplate, quality: number): FingerTemplate {
  const minutiae = template.minutiae.map((minutia, i) => ({ ...minutia, quality: 1 + ((i * 37) % 100) }));
  return { ...template, quality, minutiae };
}

function makeInputs(): GoldenInputs {
  const templates: [string, FingerTemplate][] = [];
  for (const count of [5, 6, 12, 40, 64]) {
    const print = somePrint(count, count);
    // A second impression of a tiny print must not lose minutiae.
    const again = secondImpression(print, count + 1, (count * 41) & 255, count < 12 ? 0.1 : 1);
    templates.push([`${count} minutiae`, print], [`${count} minutiae, again, turned`, again]);
    templates.push([`${count} minutiae, again, quality stated`, rated(again, 60)]);
  }
  for (const count of [5, 6, 12, 40, 64]) templates.push([`garbage of ${count}`, garbage(count, count)]);
  for (const turn of [64, 128, 192]) {
    templates.push([`40 minutiae, turned by ${turn}/256`, secondImpression(somePrint(40, 40), turn, turn, 0.5)]);
  }
  templates.push(['64 minutiae, quality stated', rated(somePrint(64, 64), 90)]);
  const fingers = templates.map(([name, { quality, minutiae }]) => ({
    name,
    quality,
    minutiae: minutiae.flatMap((m) => [m.x, m.y, m.angle, m.type, m.quality]),
  }));
  const next = random(7);
  const someFace = () => Array.from({ length: FACE_DIMENSION }, () => Math.floor(255 * next()) - 127);
  const ends = [127, -127].map((value) => Array.from({ length: FACE_DIMENSION }, () => value));
  const zero = Array.from({ length: FACE_DIMENSION }, () => 0);
  return { fingers, faces: [someFace(), someFace(), someFace(), someFace(), ...ends, zero] };
}

async function write(file: string, content: GoldenInputs | GoldenResults): Promise<void> {
  writeFileSync(file, await format(JSON.stringify(content), { parser: 'json', printWidth: 120 }));
}

if (process.argv.includes('--inputs')) await write(INPUTS_FILE, makeInputs());
const inputs = readInputs();
const packed = fingerTemplates(inputs).map((template) => {
  const finger = encodeFingerReference(template);
  if (finger === undefined) throw new Error('A golden template has too few minutiae');
  return finger;
});
await write(RESULTS_FILE, {
  packedFingers: packed.map(hashOf),
  fingerScores: everyPair(packed, compareFingersReference),
  faceScores: everyPair(faceVectors(inputs), compareFacesReference),
});
