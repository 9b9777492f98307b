/** Figures of kernels and of searches in one process. */
import type { Spread } from '../../harness/spread.ts';
import {
  less,
  milliseconds,
  more,
  percent,
  ratio,
  share,
  withLimits,
  type Limited,
  type Part,
  type Reader,
} from '../figure.ts';

interface Rates {
  readonly name: string;
  readonly rates: readonly { readonly name: string; readonly rate: Spread; readonly ratio: Spread }[];
}

/** The engine compiles the oracle differently in every run: a factor of 1.3 was seen. */
const REFERENCE_NOISE = 0.35;

export const SEARCHES: Readonly<Record<string, Reader>> = {
  kernels: (result) =>
    (result as { results: readonly Rates[] }).results.flatMap(({ name, rates }) => {
      const [first, ...others] = rates;
      // The oracle's scans stay in the caches: its ratio to reading memory has no meaning.
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
              minNoise: REFERENCE_NOISE,
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
              // Other programs share the memory of the machine: this ratio changes from day to day.
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
      { name: `an indexed search, CPU, ${subjects} subjects`, value: fast, ...milliseconds, ...less },
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
          ...percent({ share: hitRate, low, high }),
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
    return rows.flatMap(({ kind, 'rank 1': first, fnir, 'non-mated, ms': times }): Part[] => [
      { name: `${kind}, rank 1 of ${subjects}`, ...percent(first), ...share, ...more },
      ...fnir
        .filter(({ extrapolated }) => !extrapolated)
        .map((row): Part => ({ name: `${kind}, FNIR at FPIR ${row.fpir}`, ...percent(row), ...share, ...less })),
      { name: `${kind}, a non-mated search of ${subjects}`, value: times.median, ...milliseconds, ...less },
    ]);
  },
  growth: (result) => {
    const { rows } = result as {
      rows: readonly { subjects: number; kind: string; way: string; cost: number }[];
    };
    const most = Math.max(...rows.map(({ subjects }) => subjects));
    const largest = rows.filter(({ subjects }) => subjects === most);
    return largest.flatMap(({ kind, way, cost }): Part[] => {
      const exact = largest.find((row) => row.kind === kind && row.way === 'exact');
      if (way === 'exact' || exact === undefined) return [];
      return [
        { name: `exact to planned, CPU, ${kind}, ${most} subjects`, value: exact.cost / cost, ...ratio, ...more },
        { name: `a planned search, CPU, ${kind}, ${most} subjects`, value: cost, ...milliseconds, ...less },
      ];
    });
  },
  graph: (result) => {
    const { modality, sizes } = result as {
      modality: string;
      sizes: readonly {
        subjects: number;
        figures: readonly {
          kind: string;
          graph: readonly (Limited & { ef: number })[];
          codes: readonly (Limited & { chosen: number })[];
        }[];
      }[];
    };
    interface Limited {
      first: { share: number; limits: readonly [number, number] };
      timesFaster: number;
    }
    const { subjects, figures } = sizes[sizes.length - 1];
    return figures.flatMap(({ kind, graph, codes }): Part[] => {
      const methods = [
        ...codes.map((each) => ({ ...each, setting: `codes, ${Number((100 * each.chosen).toFixed(2))} %` })),
        ...graph.map((each) => ({ ...each, setting: `graph, ef ${each.ef}` })),
      ];
      return methods.flatMap(({ setting, first, timesFaster }): Part[] => {
        const name = `${setting}, of ${subjects}, ${modality}, ${kind}`;
        return [
          { name: `${name}: recall of rank 1`, ...withLimits(first.share, first.limits), ...share, ...more },
          { name: `${name}: scan of whole vectors to it, time`, value: timesFaster, ...ratio, ...more },
        ];
      });
    });
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
};
