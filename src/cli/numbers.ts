/** Parses numbers given as options. Refuses invalid and out-of-range values, with the name of the option. */
import { InvalidArgumentError } from 'commander';

const DECIMAL = /^[+-]?\d{1,30}(\.\d{1,30})?(e[+-]?\d{1,3})?$/i;

/** Reads a whole number. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

/** Reads a decimal number, with an exponent or without. */
export function decimalNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = DECIMAL.test(text) ? Number(text) : NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a number from ${least} to ${most}.`);
  };
}
