/** The canonical face template: an embedding of unit length, quantised to signed bytes. */
export interface FaceTemplate {
  readonly modality: 'face';
  /** Id of the model that made the embedding. Embeddings of two models are never compared. */
  readonly modelId: string;
  /** Components, 64 to 2048, a multiple of 16. */
  readonly dimension: number;
  /** Quality of the sample, 1 to 100; 0: not stated. */
  readonly quality: number;
  /** `dimension` values -127 to 127: round(x · 127 · √dimension / 4.5), clipped, of the unit vector x. */
  readonly values: Int8Array;
}
