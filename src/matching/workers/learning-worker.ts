/** The thread that learns from enrolled faces: in the pool, these seconds of work would delay every search. */
import type { FaceDirections } from '../kernels/face-codes.ts';
import { learnFaceSpectrum, type FaceSpectrum } from '../kernels/face-spectrum.ts';
import { learnFaceDirections } from '../kernels/learn-face-directions.ts';

export interface LearnTask {
  /** i8 [count × dimension] */
  readonly faces: Int8Array;
  readonly dimension: number;
}

export function learnDirections({ faces, dimension }: LearnTask): FaceDirections {
  return learnFaceDirections(faces, dimension);
}

export function learnSpectrum({ faces, dimension }: LearnTask): FaceSpectrum {
  return learnFaceSpectrum(faces, dimension);
}
