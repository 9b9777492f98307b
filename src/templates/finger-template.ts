/** The canonical finger template: every interchange format is converted to it before comparison. */

/** ISO/IEC 19794-2:2005 Table 2: 0 unknown, 1 right thumb … 5 right little, 6 left thumb … 10 left little. */
export type FingerPosition = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;

/** ISO/IEC 19794-2:2005 7.4.2.1: 0 other, 1 ridge ending, 2 ridge bifurcation. */
export type MinutiaType = 0 | 1 | 2;

export interface Minutia {
  /** Pixels at 500 dpi, to the right, integer. */
  readonly x: number;
  /** Pixels at 500 dpi, upwards (interchange formats count downwards), integer. */
  readonly y: number;
  /** Direction, counter-clockwise from the x axis, in 256ths of a turn, 0 to 255. */
  readonly angle: number;
  readonly type: MinutiaType;
  /** 1 (worst) to 100 (best); 0: the record does not state it. */
  readonly quality: number;
}

export interface FingerTemplate {
  readonly modality: 'finger';
  readonly position: FingerPosition;
  /** Quality of the sample, 1 to 100; 0: not stated. */
  readonly quality: number;
  /** At most MAX_MINUTIAE, no two at one place; in the record's order. */
  readonly minutiae: readonly Minutia[];
}

/**
 * Limit of the kernels. Larger records keep the best minutiae by quality, or those nearest to the centre where no
 * quality is stated.
 */
export const MAX_MINUTIAE = 64;
