import { InvalidArgumentError } from 'commander';

/** Reads an option of a command line: a whole number that is not less than `least`. */
export function atLeast(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least)
      throw new InvalidArgumentError(`expected a whole number from ${least} on`);
    return value;
  };
}
