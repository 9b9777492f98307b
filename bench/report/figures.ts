/** What of a measurement is worth a line of its own, and can be compared with what it was before. */
import type { BenchDocument } from '../harness/document.ts';
import type { Spread } from '../harness/spread.ts';

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
}

type Part = Omit<Figure, 'bench'>;

const more = { better: 'more' } as const;
const less = { better: 'less' } as const;
const ratio = { unit: '×', isRatio: true } as const;
const share = { unit: '%', isRatio: true } as const;

/** The figures of a document; none of a bench that has no reader here. */
export function figuresOf({ bench, result }: BenchDocument): Figure[] {
  const read = READERS[bench];
  return read === undefined ? [] : read(result).map((part) => ({ bench, ...part }));
}

interface Rates {
  readonly name: string;
  readonly rates: readonly { readonly name: string; readonly rate: Spread; readonly ratio: Spread }[];
}

interface Limited {
  readonly share: number;
  readonly low: number;
  readonly high: number;
}

interface LoadResult {
  readonly sustainable: number;
  readonly unloaded: { readonly p50: number; readonly p99: number };
  readonly 'eight callers, searches/s': number;
  readonly overload: { readonly p99: number };
  readonly enrolment: { readonly 'enrolled until searchable, ms': { readonly p99: number } };
  readonly [other: string]: unknown;
}

/** Readers of results. What a bench prints is its own affair; what is read here is what it may not change silently. */
const READERS: Readonly<Partial<Record<string, (result: unknown) => Part[]>>> = {
  kernels: (result) =>
    (result as { results: readonly Rates[] }).results.flatMap(({ name, rates }) => {
      const [first, ...others] = rates;
      // How fast memory is says nothing about the reference.
      const compared = others.filter((row) => row.name !== 'reference' || first.name !== 'reading');
      return compared.map((row): Part => {
        const isReference = row.name === 'reference';
        const { median, low, high } = row.ratio;
        return isReference
          ? {
              name: `${name}: ${first.name} to reference`,
              value: 1 / median,
              low: 1 / high,
              high: 1 / low,
              ...ratio,
              ...more,
            }
          : {
              name: `${name}: ${row.name} to ${first.name}`,
              value: median,
              low,
              high,
              ...more,
              ...ratio,
              // Whoever shares the machine shares its memory, too: this ratio is of the day.
              isRatio: first.name !== 'reading',
            };
      });
    }),
  search: (result) => {
    const { hitRate, indexed, exact, subjects } = result as {
      hitRate: number;
      subjects: number;
      indexed: Record<'CPU ms, median', number>;
      exact: Record<'CPU ms, median', number>;
    };
    const [fast, slow] = [indexed['CPU ms, median'], exact['CPU ms, median']];
    return [
      { name: `exact to indexed, CPU, ${subjects} subjects`, value: slow / fast, ...ratio, ...more },
      { name: `hit rate of the index, ${subjects} subjects`, value: 100 * hitRate, ...share, ...more },
      { name: `an indexed search, CPU, ${subjects} subjects`, value: fast, unit: 'ms', isRatio: false, ...less },
    ];
  },
  penetration: (result) => {
    const { curves, subjects } = result as {
      subjects: number;
      curves: readonly {
        name: string;
        points: readonly { penetration: number; hitRate: number; low: number; high: number }[];
      }[];
    };
    return curves.flatMap(({ name, points }) =>
      points
        .filter(({ penetration }) => penetration === 1e-3 || penetration === 1e-2)
        .map(({ penetration, hitRate, low, high }): Part => ({
          name: `mates among the first ${100 * penetration} % of ${subjects}, ${name}`,
          value: 100 * hitRate,
          low: 100 * low,
          high: 100 * high,
          ...share,
          ...more,
        })),
    );
  },
  e1n: (result) => {
    const { rows, subjects } = result as {
      subjects: number;
      rows: readonly {
        kind: string;
        'non-mated, ms': { median: number };
        'rank 1': Limited;
        fnir: readonly (Limited & { fpir: number; extrapolated: boolean })[];
      }[];
    };
    const percent = ({ share: value, low, high }: Limited) => ({
      value: 100 * value,
      low: 100 * low,
      high: 100 * high,
    });
    return rows.flatMap(({ kind, 'rank 1': first, fnir, 'non-mated, ms': times }): Part[] => [
      { name: `${kind}, rank 1 of ${subjects}`, ...percent(first), ...share, ...more },
      ...fnir
        .filter(({ extrapolated }) => !extrapolated)
        .map((row): Part => ({ name: `${kind}, FNIR at FPIR ${row.fpir}`, ...percent(row), ...share, ...less })),
      { name: `${kind}, a non-mated search of ${subjects}`, value: times.median, unit: 'ms', isRatio: false, ...less },
    ]);
  },
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
      { name: 'sustainable, calls', value: sustainable, unit: '/s', isRatio: false, ...more },
      { name: knee, value: Number(value), unit: '/s', isRatio: false, ...more },
      { name: 'two fingers, unloaded, p50', value: unloaded.p50, unit: 'ms', isRatio: false, ...less },
      { name: 'two fingers, unloaded, p99', value: unloaded.p99, unit: 'ms', isRatio: false, ...less },
      { name: 'eight callers who wait, searches', value: closed, unit: '/s', isRatio: false, ...more },
      { name: 'p99 of three times too many to p99 unloaded', value: overload.p99 / unloaded.p99, ...ratio, ...less },
      {
        name: 'enrolled until searchable, p99',
        value: enrolment['enrolled until searchable, ms'].p99,
        unit: 'ms',
        isRatio: false,
        ...less,
      },
    ];
  },
  import: (result) => {
    const own = result as Record<string, number>;
    return [
      { name: 'imported, references', value: own['references/s'], unit: '/s', isRatio: false, ...more },
      {
        name: 'lost or doubled, with kills',
        value: own['lost or doubled after kills'],
        unit: '',
        isRatio: true,
        ...less,
      },
    ];
  },
  throughput: (result) => {
    const { rows, workers } = result as {
      workers: number;
      rows: readonly { kind: string; searched: { ratio: { median: number; least: number; most: number } } }[];
    };
    return rows.map(({ kind, searched: { ratio: measured } }): Part => ({
      name: `${workers} workers to one, ${kind}`,
      value: measured.median,
      low: measured.least,
      high: measured.most,
      ...ratio,
      ...more,
    }));
  },
  soak: (result) => {
    const drift = (name: string) => (result as Record<string, { ratio: number }>)[name].ratio;
    const count = (name: string) => (result as Record<string, number>)[name];
    return [
      { name: 'memory, last third to first', value: drift('memory, MB'), ...ratio, ...less },
      { name: 'p50, last third to first', value: drift('p50, ms'), ...ratio, ...less },
      { name: 'p99, last third to first', value: drift('p99, ms'), ...ratio, ...less },
      {
        name: 'wrong answers',
        value: count('enrolled and not found') + count('expunged and found'),
        unit: '',
        isRatio: true,
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
    return [
      { name: `lost, torn or resurrected in ${own.rounds} kills`, value: lost, unit: '', isRatio: true, ...less },
    ];
  },
  accuracy: (result) => {
    const { figures } = result as {
      figures: readonly {
        name: string;
        kind: string;
        eer: number;
        eerLimits: readonly [number, number] | null;
        points: readonly { fmr: number; point: { fnmr: number } | null; limits: readonly [number, number] | null }[];
      }[];
    };
    return figures
      .filter(({ kind }) => kind === 'set')
      .flatMap(({ name, eer, eerLimits, points }): Part[] => {
        const limits = (of: readonly [number, number] | null) =>
          of === null ? {} : { low: 100 * of[0], high: 100 * of[1] };
        const strict = points.find(({ fmr, point }) => fmr === 1e-4 && point !== null);
        return [
          { name: `${name}, EER`, value: 100 * eer, ...limits(eerLimits), ...share, ...less },
          ...(strict?.point
            ? [
                {
                  name: `${name}, FNMR at FMR 10⁻⁴`,
                  value: 100 * strict.point.fnmr,
                  ...limits(strict.limits),
                  ...share,
                  ...less,
                },
              ]
            : []),
        ];
      });
  },
};
