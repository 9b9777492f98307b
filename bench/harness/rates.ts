/** Rates of several ways to do one thing, by turns: what disturbs the machine disturbs all of them. */
import { spreadOf, type Spread } from './spread.ts';

export interface Contender {
  readonly name: string;
  /** Does some of it, for a millisecond at least. @returns how many times */
  readonly run: () => number;
}

export interface RateRow {
  readonly name: string;
  /** Times a second. */
  readonly rate: Spread;
  /** Of each round's rate to that of the first contender in the same round. */
  readonly ratio: Spread;
}

/** Measures the contenders, after a round that warms up. */
export function compareRates(contenders: readonly Contender[], rounds: number): RateRow[] {
  const rateOf = ({ run }: Contender) => {
    const started = process.hrtime.bigint();
    const times = run();
    return times / (Number(process.hrtime.bigint() - started) / 1e9);
  };
  contenders.forEach(rateOf);
  const measured = Array.from({ length: rounds }, () => contenders.map(rateOf));
  return contenders.map(({ name }, i) => ({
    name,
    rate: spreadOf(measured.map((round) => round[i])),
    ratio: spreadOf(measured.map((round) => round[i] / round[0])),
  }));
}

/** Ways to do one thing, of which the first is what the others are compared with. */
export interface ContenderGroup {
  readonly name: string;
  /** What is counted. */
  readonly unit: string;
  /** Read for each, where memory decides. */
  readonly bytes?: number;
  readonly contenders: readonly Contender[];
}
