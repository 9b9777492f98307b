/** Figures of what comparisons are worth. */
import { count, less, percent, ratio, share, type Part, type Reader } from '../figure.ts';

export const ACCURACY: Readonly<Record<string, Reader>> = {
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
  strata: (result) => {
    const { all, columns } = result as {
      all: { fnmr?: { share: number; limits: readonly [number, number] } };
      columns: readonly { column: string; 'highest to lowest FNMR'?: number }[];
    };
    const whole = ({ share: value, limits: [low, high] }: NonNullable<typeof all.fnmr>): Part => ({
      name: 'FNMR of all',
      ...percent({ share: value, low, high }),
      ...share,
      ...less,
    });
    return [
      ...(all.fnmr === undefined ? [] : [whole(all.fnmr)]),
      ...columns.flatMap(({ column, 'highest to lowest FNMR': value }): Part[] =>
        value === undefined ? [] : [{ name: `highest FNMR to lowest by ${column}`, value, ...ratio, ...less }],
      ),
    ];
  },
  fpir: (result) => {
    const rows = (result as readonly { verdict: string }[]).filter(
      ({ verdict }) => !verdict.includes('too few to tell'),
    );
    const exceeding = rows.filter(({ verdict }) => verdict.startsWith('MORE')).length;
    return [
      {
        name: `of ${rows.length} rates, those delivered that exceed what was requested`,
        value: exceeding,
        ...count,
        ...less,
      },
    ];
  },
};
