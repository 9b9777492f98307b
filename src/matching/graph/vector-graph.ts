/**
 * An HNSW graph of vectors (Malkov, Yashunin, "Efficient and robust approximate nearest neighbor search using
 * hierarchical navigable small world graphs", TPAMI 2020) by hnswlib. One thread owns it: every call is synchronous.
 */
import hnswlib, { type HierarchicalNSW } from 'hnswlib-node';
import { alongDirections, type PrincipalDirections } from '../kernels/principal-directions.ts';

/** M and ef_construction of hnswlib: the graph suite measured these values. */
const LINKS = 32;
const EF_CONSTRUCTION = 200;
/** Fixed: the same changes in the same order give the same graph. */
const SEED = 0x9a4;
/** Places at first. hnswlib ends the process where memory for these is missing, so they are few. */
const FIRST_PLACES = 1024;
/** Share of its places by which a full graph grows. */
const GROWTH = 1 / 4;
/**
 * Largest change of a component of a vector of length 1. Equal vectors, as of hundreds of blank images, would be linked
 * to each other only, and cut others off the graph.
 */
const UNLIKENESS = 0.0005;
/** hnswlib's labels are unsigned 32-bit numbers here. */
export const MAX_LABEL = 2 ** 32 - 1;

/**
 * Bytes of a place by hnswlib's layout: links and mark, vector, label; address of the upper links and their mean size;
 * level, lock, visited marks; the entry of the label.
 */
function placeBytes(components: number): number {
  const level0 = 4 + 2 * LINKS * 4 + components * 4 + 8;
  const upper = 8 + (4 + LINKS * 4) / (LINKS - 1);
  return level0 + upper + 4 + 40 + 2 + 40;
}

/** Estimated bytes of a graph. @param components - of a vector along the principal directions */
export function graphBytes(places: number, components: number): number {
  return Math.ceil(places * placeBytes(components));
}

export class VectorGraph {
  readonly directions: PrincipalDirections;
  readonly #index: HierarchicalNSW;
  /** Places whose vector was removed, to be used again. */
  #vacant = 0;

  /**
   * @param directions - vectors are held along these
   * @param path - of a graph that `save` wrote, along the same directions; undefined: an empty graph
   * @throws Error when the file is damaged
   */
  constructor(directions: PrincipalDirections, path?: string) {
    this.directions = directions;
    this.#index = new hnswlib.HierarchicalNSW('ip', directions.size);
    // Not both: hnswlib-node would release the empty index twice if the file is damaged.
    if (path === undefined) this.#index.initIndex(FIRST_PLACES, LINKS, EF_CONSTRUCTION, SEED, true);
    else this.#index.readIndexSync(path, true);
  }

  /** Vectors, and places of removed ones. */
  get places(): number {
    return this.#index.getCurrentCount();
  }

  /**
   * @param vector - `directions.dimension` components
   * @param label - never used before in this graph: the label of a removed vector is known to hnswlib until its place
   * is used again
   * @throws Error when there is no memory
   */
  add(vector: Int8Array, label: number): void {
    if (this.#vacant === 0 && this.places === this.#index.getMaxElements())
      this.#index.resizeIndex(this.places + Math.max(FIRST_PLACES, Math.ceil(this.places * GROWTH)));
    this.#index.addPoint(heldVector(this.directions, vector, label), label, true);
    if (this.#vacant > 0) this.#vacant--;
  }

  /**
   * Overwrites a vector by zeros and hides it. hnswlib would only hide it, and keep it until its place is used again.
   * @throws Error when there is no vector of this label
   */
  remove(label: number): void {
    // Overwriting an unknown label would add a vector.
    this.#index.markDelete(label);
    this.#index.unmarkDelete(label);
    this.#index.addPoint(new Array<number>(this.directions.size).fill(0), label);
    this.#index.markDelete(label);
    this.#vacant++;
  }

  /**
   * @param vector - `directions.dimension` components
   * @param ef - of hnswlib, at least 1
   * @returns labels of up to `ef` similar vectors, the most similar first
   */
  search(vector: Int8Array, ef: number): Uint32Array {
    const wanted = Math.min(ef, this.places);
    if (wanted === 0) return new Uint32Array();
    this.#index.setEf(wanted);
    return Uint32Array.from(this.#index.searchKnn(alongDirections(this.directions, vector), wanted).neighbors);
  }

  /** Writes the graph, without the directions. hnswlib does not report a full file system: see `isCompleteGraph`. */
  save(path: string): void {
    this.#index.writeIndexSync(path);
  }
}

/** What a graph holds of a vector: with a small change that follows from the label, so that no two are equal. */
export function heldVector(directions: PrincipalDirections, vector: Int8Array, label: number): number[] {
  let state = Math.imul(label + 1, 0x9e3779b1);
  return alongDirections(directions, vector).map((value) => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5;
    return value + UNLIKENESS * ((state >>> 0) / 2 ** 31 - 1);
  });
}
