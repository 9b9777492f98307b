/** What the thread of a graph is asked, and answers. */
import type { PrincipalDirections } from '../kernels/principal-directions.ts';

export interface LearnTask {
  readonly kind: 'learn';
  /** i8 [count × dimension], that directions are learned from */
  readonly rows: Int8Array;
  readonly dimension: number;
  /** Directions. */
  readonly size: number;
}

/** Begins an empty graph. */
export interface BeginTask {
  readonly kind: 'begin';
  readonly directions: PrincipalDirections;
}

export interface LoadTask {
  readonly kind: 'load';
  readonly path: string;
  readonly directions: PrincipalDirections;
}

export interface SaveTask {
  readonly kind: 'save';
  readonly path: string;
}

export interface AddTask {
  readonly kind: 'add';
  /** i8 [labels × dimension] */
  readonly vectors: Int8Array;
  readonly labels: Uint32Array;
}

export interface RemoveTask {
  readonly kind: 'remove';
  readonly labels: Uint32Array;
}

export interface SearchTask {
  readonly kind: 'search';
  readonly vector: Int8Array;
  readonly ef: number;
}

export type GraphTask = LearnTask | BeginTask | LoadTask | SaveTask | AddTask | RemoveTask | SearchTask;

export interface GraphResult {
  /** Time that the thread was busy. */
  readonly busyMs: number;
  /** Vectors in the graph, and places of removed ones. */
  readonly places: number;
  /** Of `add` and `remove`: changes made, at least one. The time of a task is limited; the others are still to do. */
  readonly done: number;
  /** Of `search`: the most similar first. */
  readonly labels: Uint32Array;
  /** Of `learn`. */
  readonly directions?: PrincipalDirections | undefined;
}
