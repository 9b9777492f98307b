/** A number of a measurement that is worth a line of its own, and can be compared with what it was before. */
export interface Figure {
  readonly bench: string;
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** Which way is better. */
  readonly better: 'more' | 'less';
  /** It does not depend on how fast the machine is: of two things measured by turns, or of what was found. */
  readonly isRatio: boolean;
  /** Between which it lies: quartiles of repeats, or confidence limits. */
  readonly low?: number;
  readonly high?: number;
  /** How far it may differ between runs, whatever the repeats of one say; a share of it. */
  readonly minNoise?: number;
}

/** What a reader of a bench's result says of it. */
export type Part = Omit<Figure, 'bench'>;

/**
 * Reads the figures out of what a bench prints with --json. That is the bench's own affair; what is read here is what it
 * may not change silently.
 */
export type Reader = (result: unknown) => Part[];

export const more = { better: 'more' } as const;
export const less = { better: 'less' } as const;
export const ratio = { unit: '×', isRatio: true } as const;
/** In hundredths. */
export const share = { unit: '%', isRatio: true } as const;
/** Has to be 0, or may not grow. */
export const count = { unit: '', isRatio: true } as const;
/** Of this machine. */
export const milliseconds = { unit: 'ms', isRatio: false } as const;
export const aSecond = { unit: '/s', isRatio: false } as const;

export interface Limited {
  readonly share: number;
  readonly low: number;
  readonly high: number;
}

/** With both of its limits; null: there are none. */
export function withLimits(value: number, limits: readonly [number, number] | null) {
  return limits === null ? { value: 100 * value } : percent({ share: value, low: limits[0], high: limits[1] });
}

export function percent({ share: value, low, high }: Limited) {
  return { value: 100 * value, low: 100 * low, high: 100 * high };
}
