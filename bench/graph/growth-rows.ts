import { growthOf, timeAtHitRate, type Growth, type PointOfSize } from './equal-hit-rate.ts';
import type { MethodFigures, SearchFigures } from './searches.ts';

/** What of a gallery's figures the growth needs. */
interface FiguresOfSize {
  readonly subjects: number;
  readonly figures: readonly SearchFigures[];
}

/** Which mates count: those at rank 1 of the scan, or those it would compare. */
export type Criterion = 'first' | 'compared';

export interface GrowthRow {
  readonly kind: string;
  readonly criterion: Criterion;
  readonly hitRate: number;
  /** Milliseconds of a search at this hit rate; undefined: no setting finds enough. */
  readonly times: readonly {
    readonly subjects: number;
    readonly graph: number | undefined;
    readonly codes: number | undefined;
    readonly scan: number;
  }[];
  readonly overScan: Growth | undefined;
  readonly overCodes: Growth | undefined;
}

const HIT_RATES = [0.95, 0.99, 0.999];

/** @param sizes - ascending */
export function growthRows(sizes: readonly FiguresOfSize[], criteria: readonly Criterion[]): GrowthRow[] {
  const kinds = sizes[0].figures.map(({ kind }) => kind);
  return kinds.flatMap((kind, k) =>
    criteria.flatMap((criterion) =>
      HIT_RATES.map((hitRate): GrowthRow => {
        const timeOf = (methods: readonly MethodFigures[]) => {
          const settings = methods.map((method) => ({ found: method[criterion], milliseconds: method.milliseconds }));
          return timeAtHitRate(settings, hitRate);
        };
        const times = sizes.map(({ subjects, figures }) => ({
          subjects,
          graph: timeOf(figures[k].graph),
          codes: timeOf(figures[k].codes),
          scan: figures[k].scanMilliseconds,
        }));
        const points = (method: 'graph' | 'codes' | 'scan') =>
          times.flatMap(({ subjects, [method]: milliseconds }): PointOfSize[] =>
            milliseconds === undefined ? [] : [{ subjects, milliseconds }],
          );
        const graph = points('graph');
        return {
          kind,
          criterion,
          hitRate,
          times,
          overScan: growthOf(graph, points('scan')),
          overCodes: growthOf(graph, points('codes')),
        };
      }),
    ),
  );
}
