/** The variants of the comparison, each without one part. */
import { FULL_SHAPE, type ScoreShape } from '../../index-builder/train/score.ts';

/** Source of the planes of the codes. */
export type Codes =
  /** Mates of real and synthetic prints, in as many rounds as the shipped model's. */
  | 'learned'
  /** Like `learned`, without the last round. */
  | 'one-round-less'
  /** Random directions. */
  | 'random'
  /** Mates of real prints. */
  | 'real-prints';

export interface Variant {
  readonly name: string;
  readonly codes: Codes;
  readonly shape: ScoreShape;
  /** Whether synthetic people take part in the training of the score. */
  readonly synthetic: boolean;
}

/**
 * The terms by what they measure. Every term except the constant is in one group. Groups overlap in what they measure,
 * above all with `worth`, which combines codes, places, directions and the overlap.
 */
export const TERM_GROUPS: Readonly<Record<string, readonly string[]>> = {
  'code distances': ['code', 'unpaired-code'],
  'places and directions': ['place', 'direction', 'close', 'directions'],
  'edges between pairs': ['nearer-edge', 'farther-edge', 'edges'],
  types: ['type', 'types'],
  qualities: ['quality-stated', 'quality'],
  'unpaired minutiae': ['unpaired', 'unpaired-nearest', 'unpaired-crowd'],
  counts: ['pairs', 'minutiae'],
  'worth of the pairs in the overlap': ['worth'],
  'area of the pairs': ['spread'],
  'bending of the alignment': ['bending'],
};

/** Terms that are sums over minutiae, as opposed to terms of the whole alignment. */
const OF_MINUTIAE = ['code', 'place', 'direction', 'nearer-edge', 'farther-edge', 'type', 'quality-stated', 'quality'];
const OF_UNPAIRED = ['unpaired', 'unpaired-nearest', 'unpaired-code', 'unpaired-crowd'];

function without(terms: readonly string[]): ScoreShape {
  return { ...FULL_SHAPE, terms: new Set([...FULL_SHAPE.terms].filter((name) => !terms.includes(name))) };
}

function only(terms: readonly string[]): ScoreShape {
  return { ...FULL_SHAPE, terms: new Set(terms) };
}

const whole: Omit<Variant, 'name'> = { codes: 'learned', shape: FULL_SHAPE, synthetic: true };

/** The first is the full comparison, the baseline of the others. */
export const VARIANTS: readonly Variant[] = [
  { ...whole, name: 'everything' },
  ...Object.entries(TERM_GROUPS).map(([group, terms]) => ({
    ...whole,
    name: `without terms: ${group}`,
    shape: without(terms),
  })),
  { ...whole, name: 'without terms of single minutiae', shape: without([...OF_MINUTIAE, ...OF_UNPAIRED]) },
  { ...whole, name: 'only the worth of the pairs', shape: only(['worth']) },
  { ...whole, name: 'straight lines for curves', shape: { ...FULL_SHAPE, straight: true } },
  { ...whole, name: 'codes without the last round', codes: 'one-round-less' },
  { ...whole, name: 'random planes for codes', codes: 'random' },
  { ...whole, name: 'without synthetic people', codes: 'real-prints', synthetic: false },
];
