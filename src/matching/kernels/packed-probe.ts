import type { FaceTemplate } from '../../templates/face-template.ts';

/** What embeddings have to have in common to be compared. */
export interface FaceKind {
  readonly modelId: string;
  /** Components. */
  readonly dimension: number;
}

/** A probe in the kernels' form; a finger may have its candidate vector behind it, as in `withVector`. */
export type PackedProbe =
  | { readonly modality: 'finger'; readonly packed: Uint8Array }
  | ({ readonly modality: 'face'; readonly packed: Uint8Array } & FaceKind);

/** The kernels' form of a face: its values, as bytes. */
export function packFace(template: FaceTemplate): Uint8Array {
  return new Uint8Array(template.values.buffer, template.values.byteOffset, template.values.byteLength);
}
