import { z } from 'zod';

/** One setting: its parser, its default, its meaning and the reason for the default. */
export interface Setting {
  readonly schema: z.ZodType;
  readonly fallback: string | undefined;
  /** Shown in the documentation for a fallback that depends on the machine. */
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
