/**
 * Codes of face embeddings: the mean is subtracted from the embedding, which is projected on 256 directions; a code is
 * the signs. Four signs are a nibble, and a scan sums table entries for nibbles, as for fingers. The probe is not
 * reduced to signs: its values weigh the signs of the references (RaBitQ: Gao and Long, SIGMOD 2024).
 * learn-face-directions.ts learns the directions.
 */
import { createHash } from 'node:crypto';
import type { IdentifiedCoder } from '../../gallery/segment.ts';
import { instantiateCandidateKernels, type CandidateKernels } from './candidate-kernels.ts';
import { MAX_BASE, STEP, type CodeTables } from './code-tables.ts';
import { KernelArena } from './kernel-arena.ts';
import type { KernelBuild } from './kernel-builds.ts';
import { SIMILARITY_OF_ONE } from './similarity.ts';

/** Number of directions. Each gives one bit. */
export const FACE_DIRECTIONS = 256;
/** Bytes of the codes of one face. */
export const FACE_CODE_BYTES = FACE_DIRECTIONS / 8;
const BITS_OF_CODE = 4;
const CODES = 2 ** BITS_OF_CODE;

/** Directions for the faces of one model. Shared with the worker threads. */
export interface FaceDirections {
  /** Components of an embedding, a multiple of 16. */
  readonly dimension: number;
  /** i8 [FACE_DIRECTIONS × dimension] */
  readonly directions: SharedArrayBuffer;
  /** i32 [FACE_DIRECTIONS]: the directions' products with the mean embedding. */
  readonly offsets: SharedArrayBuffer;
  /** Sum of the absolute projections of an average face: the sum for a cosine of 1. */
  readonly unit: number;
  /** Hash of all these numbers, sixteen hexadecimal digits. */
  readonly hash: string;
}

/** See FaceDirections.hash. */
export function directionsHash({ dimension, directions, offsets, unit }: Omit<FaceDirections, 'hash'>): string {
  const digest = createHash('sha256').update(new Uint8Array(directions)).update(new Uint8Array(offsets));
  return digest.update(`${dimension} ${unit}`).digest('hex').slice(0, 16);
}

/**
 * Makes the codes of faces, and the tables of probes, in a small memory of its own. It keeps no face: the one of the last
 * call may be expunged long before the next call.
 */
export class FaceCoder implements IdentifiedCoder {
  readonly directions: FaceDirections;
  readonly #arena = new KernelArena();
  readonly #face: number;
  readonly #widened: number;
  readonly #matrix: number;
  readonly #offsets: number;
  readonly #projections: number;
  readonly #kernels: CandidateKernels;

  /** @param build - the kernel build; by default the fastest that runs here */
  constructor(directions: FaceDirections, build?: KernelBuild) {
    const { dimension } = directions;
    this.directions = directions;
    this.#face = this.#arena.reserve(dimension);
    this.#widened = this.#arena.reserve(2 * dimension);
    this.#matrix = this.#arena.reserve(FACE_DIRECTIONS * dimension);
    this.#offsets = this.#arena.reserve(4 * FACE_DIRECTIONS);
    this.#projections = this.#arena.reserve(4 * FACE_DIRECTIONS);
    this.#kernels = instantiateCandidateKernels(this.#arena.memory, build);
    this.#arena.write(this.#matrix, new Int8Array(directions.directions));
    this.#arena.write(this.#offsets, new Int32Array(directions.offsets));
  }

  get hash(): string {
    return this.directions.hash;
  }

  /** @returns FACE_CODE_BYTES: a bit for each direction, 1 where the face is not below the mean */
  encode(face: Uint8Array): Uint8Array {
    const values = this.#project(face);
    const codes = new Uint8Array(FACE_CODE_BYTES);
    for (let k = 0; k < FACE_CODE_BYTES; k++) {
      let byte = 0;
      for (let bit = 0; bit < 8; bit++) if (values[8 * k + bit] >= 0) byte |= 1 << bit;
      codes[k] = byte;
    }
    return codes;
  }

  /** @param face - a packed face of the same model */
  tables(face: Uint8Array): CodeTables {
    const values = this.#project(face);
    const rows = FACE_DIRECTIONS / BITS_OF_CODE;
    const tables = new Uint8Array(rows * CODES);
    const step = (this.directions.unit * STEP) / SIMILARITY_OF_ONE;
    let sum = 0;
    for (let row = 0; row < rows; row++) {
      for (let c = 0; c < CODES; c++) {
        let lost = 0;
        for (let bit = 0; bit < BITS_OF_CODE; bit++) {
          const value = values[BITS_OF_CODE * row + bit];
          if (((c >> bit) & 1) !== (value >= 0 ? 1 : 0)) lost += 2 * Math.abs(value);
        }
        tables[row * CODES + c] = Math.min(255, Math.floor(lost / step + 0.5));
      }
      for (let bit = 0; bit < BITS_OF_CODE; bit++) sum += Math.abs(values[BITS_OF_CODE * row + bit]);
    }
    return { tables, base: Math.min(MAX_BASE, Math.floor(sum / step + 0.5)) };
  }

  /** A copy: i32 [FACE_DIRECTIONS] */
  #project(face: Uint8Array): Int32Array {
    const { dimension } = this.directions;
    this.#arena.write(this.#face, face);
    this.#kernels.projectFace(
      this.#face,
      this.#widened,
      this.#matrix,
      dimension,
      FACE_DIRECTIONS,
      this.#offsets,
      this.#projections,
    );
    const projections = Int32Array.from(new Int32Array(this.#arena.buffer, this.#projections, FACE_DIRECTIONS));
    this.#arena.wipe(this.#face, dimension);
    this.#arena.wipe(this.#widened, 2 * dimension);
    this.#arena.wipe(this.#projections, 4 * FACE_DIRECTIONS);
    return projections;
  }
}
