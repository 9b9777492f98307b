export interface GraphShape {
  /** Space of hnswlib: inner product, or squared distance. */
  readonly space: 'ip' | 'l2';
  /** M of hnswlib: links of a vector, in each direction. */
  readonly links: number;
  /** ef_construction of hnswlib: candidates kept while a vector is inserted. */
  readonly efConstruction: number;
  readonly seed: number;
}
