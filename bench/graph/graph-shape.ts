export interface GraphShape {
  /** What is near: the greatest inner product, or the least distance. */
  readonly space: 'ip' | 'l2';
  /** Links of a face, each way. */
  readonly links: number;
  /** Candidates that are kept while a face is linked. */
  readonly efConstruction: number;
  readonly seed: number;
}
