/** Rates of several contenders, interleaved: a disturbance of the machine affects all of them. */
import { spreadOf, type Spread } from './spread.ts';

export interface Contender {
  readonly name: string;
  /** Runs for at least a millisecond. @returns number of operations */
  readonly run: () => number;
}

export interface RateRow {
  readonly name: string;
  /** Operations a second. */
  readonly rate: Spread;
  /** Ratio to the first contender of the same round. */
  readonly ratio: Spread;
}

/** Measures the contenders, after a warm-up round. */
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

/** Contenders; the first is the baseline of the others. */
export interface ContenderGroup {
  readonly name: string;
  /** Unit of the operations. */
  readonly unit: string;
  /** Bytes read per operation, if memory is the limit. */
  readonly bytes?: number;
  readonly contenders: readonly Contender[];
}
