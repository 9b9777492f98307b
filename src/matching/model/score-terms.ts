/**
 * The terms of a finger comparison score. The score is a sum. Each term measures one quantity: per pair of minutiae,
 * per unpaired minutia, or once for the alignment. It adds the points of its curve at the measured value (a generalised
 * additive model: Hastie and Tibshirani, Statistical Science 1(3), 1986). A score can therefore be explained to an
 * examiner term by term. assembly/finger/terms.ts repeats the numbers for the kernels.
 */
export interface ScoreTerm {
  readonly name: string;
  /** The term has one value for each of these. */
  readonly subject: 'constant' | 'pair' | 'unpaired-minutia' | 'alignment';
  readonly meaning: string;
  /** Knots of its curve, and the base-2 logarithm of the step between two of them. */
  readonly knots: number;
  readonly shift: number;
  /** Knots are categories, not steps of a scale: values are not interpolated. */
  readonly kinds?: true;
}

/** The mass of one whole observation. */
export const WHOLE = 256;
/** Units of knot weights per point. */
export const WEIGHTS_PER_POINT = 16;

export const SCORE_TERMS: readonly ScoreTerm[] = [
  { name: 'constant', subject: 'constant', meaning: 'the same for every alignment', knots: 1, shift: 0, kinds: true },
  { name: 'code', subject: 'pair', meaning: 'code distance, 64ths of the mean of the shortlist', knots: 9, shift: 4 },
  { name: 'place', subject: 'pair', meaning: 'distance after the alignment, 64ths of the limit', knots: 5, shift: 4 },
  { name: 'direction', subject: 'pair', meaning: 'difference of directions, 64ths of 30°', knots: 5, shift: 4 },
  {
    name: 'nearer-edge',
    subject: 'pair',
    meaning: 'the smaller error of the edges to the two nearest pairs, 32nds of the expected stretch of skin',
    knots: 9,
    shift: 3,
  },
  { name: 'farther-edge', subject: 'pair', meaning: 'the larger error of the two edges', knots: 9, shift: 3 },
  {
    name: 'type',
    subject: 'pair',
    meaning: '0: one is unknown, 1: different, 2: the same',
    knots: 3,
    shift: 0,
    kinds: true,
  },
  {
    name: 'quality-stated',
    subject: 'pair',
    meaning: '1: both minutiae have a quality',
    knots: 2,
    shift: 0,
    kinds: true,
  },
  { name: 'quality', subject: 'pair', meaning: 'geometric mean of the qualities, 0 to 63', knots: 5, shift: 4 },
  {
    name: 'unpaired',
    subject: 'unpaired-minutia',
    meaning:
      '5 × (0: inside the hull of the other print, 1: up to 10 pixels outside, 2: up to 20) + quality (0: not stated, 1 to 4)',
    knots: 15,
    shift: 0,
    kinds: true,
  },
  {
    name: 'unpaired-nearest',
    subject: 'unpaired-minutia',
    meaning: 'pixels to the other print’s nearest minutia',
    knots: 5,
    shift: 4,
  },
  {
    name: 'unpaired-code',
    subject: 'unpaired-minutia',
    meaning: 'smallest code distance, 64ths of the mean of the shortlist',
    knots: 9,
    shift: 4,
  },
  {
    name: 'unpaired-crowd',
    subject: 'unpaired-minutia',
    meaning: 'the other print’s minutiae within 50 pixels',
    knots: 6,
    shift: 1,
  },
  { name: 'pairs', subject: 'alignment', meaning: 'number of pairs', knots: 17, shift: 2 },
  {
    name: 'worth',
    subject: 'alignment',
    meaning: 'squared sum of the pairs’ agreement over the minutiae in the overlap, 16ths of octaves',
    knots: 24,
    shift: 3,
  },
  { name: 'minutiae', subject: 'alignment', meaning: 'minutiae of the smaller template', knots: 17, shift: 2 },
  { name: 'edges', subject: 'alignment', meaning: 'share of sound edges, 64ths', knots: 9, shift: 3 },
  {
    name: 'close',
    subject: 'alignment',
    meaning: 'share of pairs within 6 pixels and 11.5°, 64ths',
    knots: 9,
    shift: 3,
  },
  { name: 'spread', subject: 'alignment', meaning: 'area that the pairs cover, 16ths of octaves', knots: 24, shift: 3 },
  {
    name: 'directions',
    subject: 'alignment',
    meaning: 'mean difference of directions, 128ths of 30° (cosines)',
    knots: 12,
    shift: 3,
  },
  { name: 'types', subject: 'alignment', meaning: 'share of pairs of one type, 64ths', knots: 9, shift: 3 },
  {
    name: 'bending',
    subject: 'alignment',
    meaning: 'how far the alignment is from a rotation, hundredths',
    knots: 9,
    shift: 3,
  },
];

/** Index of each term's first knot. */
export const FIRST_KNOTS: readonly number[] = SCORE_TERMS.map((_, i) =>
  SCORE_TERMS.slice(0, i).reduce((sum, { knots }) => sum + knots, 0),
);

/** Knots of all terms together. */
export const KNOT_COUNT: number = SCORE_TERMS.reduce((sum, { knots }) => sum + knots, 0);
