import { z } from 'zod';

/** One setting: how it is read, what it is when it is not given, and why. */
export interface Setting {
  readonly schema: z.ZodType;
  readonly fallback: string | undefined;
  /** Shown in place of a fallback that depends on the machine. */
  readonly fallbackText?: string;
  readonly meaning: string;
  readonly why: string;
  readonly secret?: boolean;
}

/** A whole number within bounds. */
export function whole(least: number, most: number) {
  return z
    .string()
    .regex(/^\d+$/, 'is not a whole number')
    .transform(Number)
    .refine((value) => value >= least && value <= most, `is not ${least} to ${most}`);
}
