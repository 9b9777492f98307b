/** Golden vectors: templates as numbers, with their packed forms and scores. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FingerTemplate, MinutiaType } from '../../../src/templates/finger-template.ts';

export interface GoldenInputs {
  readonly fingers: readonly {
    readonly name: string;
    /** Quality of the sample; 0 if not stated. */
    readonly quality: number;
    /** x, y, angle, type, quality of each minutia. */
    readonly minutiae: readonly number[];
  }[];
  /** Signed bytes, all of one dimension. */
  readonly faces: readonly (readonly number[])[];
}

export interface GoldenResults {
  /** SHA-256 of each packed finger. */
  readonly packedFingers: readonly string[];
  /** fingerScores[probe][reference] */
  readonly fingerScores: readonly (readonly number[])[];
  readonly faceScores: readonly (readonly number[])[];
}

export const INPUTS_FILE = join(import.meta.dirname, 'inputs.json');
export const RESULTS_FILE = join(import.meta.dirname, 'results.json');
const NUMBERS_PER_MINUTIA = 5;

export function readInputs(): GoldenInputs {
  return JSON.parse(readFileSync(INPUTS_FILE, 'utf8')) as GoldenInputs;
}

export function readResults(): GoldenResults {
  return JSON.parse(readFileSync(RESULTS_FILE, 'utf8')) as GoldenResults;
}

export function fingerTemplates({ fingers }: GoldenInputs): FingerTemplate[] {
  return fingers.map(({ quality, minutiae: numbers }) => {
    const minutiae = Array.from({ length: numbers.length / NUMBERS_PER_MINUTIA }, (_, i) => {
      const [x, y, angle, type, of] = numbers.slice(NUMBERS_PER_MINUTIA * i);
      return { x, y, angle, type: type as MinutiaType, quality: of };
    });
    return { modality: 'finger', position: 0, quality, minutiae };
  });
}

export function faceVectors({ faces }: GoldenInputs): Int8Array[] {
  return faces.map((values) => Int8Array.from(values));
}

export function hashOf(packed: Uint8Array): string {
  return createHash('sha256').update(packed).digest('hex');
}

/** The score of every ordered pair. */
export function everyPair<T, S>(all: readonly T[], score: (probe: T, reference: T) => S): S[][] {
  return all.map((probe) => all.map((reference) => score(probe, reference)));
}
