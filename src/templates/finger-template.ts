/**
 * The canonical finger template: what every interchange format becomes before it is compared.
 */

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
  /** 1 (worst) to 100 (best); 0 when the record does not state it. */
  readonly quality: number;
}

export interface FingerTemplate {
  readonly modality: 'finger';
  readonly position: FingerPosition;
  /** Quality of the sample 1 to 100; 0 when not stated. */
  readonly quality: number;
  /** At most MAX_MINUTIAE, no two at the same place; order is the record's. */
  readonly minutiae: readonly Minutia[];
}

/**
 * The kernels limit. Records with more keep the best by quality, or those nearest to the middle where none is stated.
 */
export const MAX_MINUTIAE = 64;
