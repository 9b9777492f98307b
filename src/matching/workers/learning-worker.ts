/** The thread that learns the directions of face codes: in the pool, these seconds of work would delay every search. */
import { learnFaceDirections } from '../kernels/learn-face-directions.ts';
import type { FaceDirections } from '../kernels/face-codes.ts';

export interface LearnTask {
  /** i8 [count × dimension] */
  readonly faces: Int8Array;
  readonly dimension: number;
}

export default function learn({ faces, dimension }: LearnTask): FaceDirections {
  return learnFaceDirections(faces, dimension);
}
