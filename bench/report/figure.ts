/** A number of a measurement that gets its own line and can be compared with a baseline. */
export interface Figure {
  readonly bench: string;
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** Direction of improvement. */
  readonly better: 'more' | 'less';
  /** Independent of the machine's speed: a ratio of interleaved measurements, or a rate of results. */
  readonly isRatio: boolean;
  /** Quartiles of repeats, or confidence limits. */
  readonly low?: number;
  readonly high?: number;
  /** Smallest noise between runs, whatever the spread within a run; relative. */
  readonly minNoise?: number;
}

/** A figure as returned by the reader of a bench. */
export type Part = Omit<Figure, 'bench'>;

/**
 * Extracts the figures from the JSON result of a bench. `figuresOf` throws if the result lacks one of them.
 */
export type Reader = (result: unknown) => Part[];

export const more = { better: 'more' } as const;
export const less = { better: 'less' } as const;
export const ratio = { unit: '×', isRatio: true } as const;
/** A share, shown in per cent. */
export const share = { unit: '%', isRatio: true } as const;
/** A count that has to be 0 or must not grow. */
export const count = { unit: '', isRatio: true } as const;
/** A time on this machine. */
export const milliseconds = { unit: 'ms', isRatio: false } as const;
export const aSecond = { unit: '/s', isRatio: false } as const;

export interface Limited {
  readonly share: number;
  readonly low: number;
  readonly high: number;
}

/** A value with its limits; null: no limits. */
export function withLimits(value: number, limits: readonly [number, number] | null) {
  return limits === null ? { value: 100 * value } : percent({ share: value, low: limits[0], high: limits[1] });
}

export function percent({ share: value, low, high }: Limited) {
  return { value: 100 * value, low: 100 * low, high: 100 * high };
}
