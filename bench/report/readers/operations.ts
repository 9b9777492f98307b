/** Figures of a running service and of operator commands. */
import { aSecond, count, less, milliseconds, more, ratio, type Reader } from '../figure.ts';

interface LoadResult {
  readonly sustainable: number;
  readonly unloaded: { readonly p50: number; readonly p99: number };
  readonly 'eight callers, searches/s': number;
  readonly overload: { readonly p99: number };
  readonly enrolment: { readonly 'enrolled until searchable, ms': { readonly p99: number } };
  readonly [other: string]: unknown;
}

export const OPERATIONS: Readonly<Record<string, Reader>> = {
  load: (result) => {
    const {
      sustainable,
      unloaded,
      overload,
      enrolment,
      'eight callers, searches/s': closed,
      ...rest
    } = result as LoadResult;
    const [knee, value] = Object.entries(rest).find(([name]) => name.startsWith('calls/s at p99')) ?? ['', NaN];
    return [
      { name: 'sustainable, calls', value: sustainable, ...aSecond, ...more },
      { name: knee, value: Number(value), ...aSecond, ...more },
      { name: 'two fingers, unloaded, p50', value: unloaded.p50, ...milliseconds, ...less },
      { name: 'two fingers, unloaded, p99', value: unloaded.p99, ...milliseconds, ...less },
      { name: 'eight callers who wait, searches', value: closed, ...aSecond, ...more },
      { name: 'p99 of three times too many to p99 unloaded', value: overload.p99 / unloaded.p99, ...ratio, ...less },
      {
        name: 'enrolled until searchable, p99',
        value: enrolment['enrolled until searchable, ms'].p99,
        ...milliseconds,
        ...less,
      },
    ];
  },
  import: (result) => {
    const own = result as Record<string, number>;
    return [
      { name: 'imported, references', value: own['references/s'], ...aSecond, ...more },
      {
        name: 'lost or doubled',
        value: own['lost or doubled'] + own['lost or doubled after kills'],
        ...count,
        ...less,
      },
    ];
  },
  index: (result) => {
    const { index, switching } = result as {
      index: Record<string, number>;
      switching: Record<'without a switch' | 'with a switch', { p99: number; max: number }>;
    };
    const [calm, busy] = [switching['without a switch'], switching['with a switch']];
    const again = index['built again, with the earlier one, s'];
    return [
      { name: 'built from nothing, references', value: index['references/s'], ...aSecond, ...more },
      { name: 'built from nothing to built again', value: index['built in, s'] / again, ...ratio, ...more },
      { name: 'slowest search beside a switch to p99 without', value: busy.max / calm.p99, ...ratio, ...less },
    ];
  },
  replicas: (result) => {
    const took = (result as Record<string, { p50: number; p99: number }>)['enrolled until found by the other, ms'];
    return [
      { name: 'enrolled until found by the other, p50', value: took.p50, ...milliseconds, ...less },
      { name: 'enrolled until found by the other, p99', value: took.p99, ...milliseconds, ...less },
    ];
  },
  rewriting: (result) => {
    const { memory, ...own } = result as {
      memory: Record<'full' | 'a minute later', { 'segments MB': number }>;
      'longest pause ms': number;
      'main thread µs a reference': number;
    };
    const left = memory['a minute later']['segments MB'] / memory.full['segments MB'];
    return [
      { name: 'memory of segments after half was expunged, to before', value: left, ...ratio, ...less },
      { name: 'longest pause of the main thread', value: own['longest pause ms'], ...milliseconds, ...less },
      {
        name: 'main thread, a reference',
        value: own['main thread µs a reference'],
        unit: 'µs',
        isRatio: false,
        ...less,
      },
    ];
  },
  durability: (result) => {
    const own = result as Record<string, number>;
    const lost = ['lost', 'updatesLost', 'resurrected', 'torn', 'notSearchable', 'holes'].reduce(
      (sum, what) => sum + own[what],
      0,
    );
    return [{ name: `lost, torn or resurrected in ${own.rounds} kills`, value: lost, ...count, ...less }];
  },
  soak: (result) => {
    const drift = (name: string) => (result as Record<string, { ratio: number }>)[name].ratio;
    const times = (name: string) => (result as Record<string, number>)[name];
    return [
      { name: 'memory, last third to first', value: drift('memory, MB'), ...ratio, ...less },
      { name: 'p50, last third to first', value: drift('p50, ms'), ...ratio, ...less },
      { name: 'p99, last third to first', value: drift('p99, ms'), ...ratio, ...less },
      {
        name: 'wrong answers',
        value: times('enrolled and not found') + times('expunged and found'),
        ...count,
        ...less,
      },
    ];
  },
};
