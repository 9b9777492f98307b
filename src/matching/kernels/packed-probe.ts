import type { FaceTemplate } from '../../templates/face-template.ts';

/** Embeddings must agree in both to be comparable. */
export interface FaceKind {
  readonly modelId: string;
  /** Components. */
  readonly dimension: number;
}

/** A probe encoded for the kernels. A finger may be followed by its candidate vector, see `withVector`. */
export type PackedProbe =
  | { readonly modality: 'finger'; readonly packed: Uint8Array }
  | ({ readonly modality: 'face'; readonly packed: Uint8Array } & FaceKind);

/** A face encoded for the kernels: its values as bytes. */
export function packFace(template: FaceTemplate): Uint8Array {
  return new Uint8Array(template.values.buffer, template.values.byteOffset, template.values.byteLength);
}
