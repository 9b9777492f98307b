/** Figures of the accuracy of comparisons. */
import { count, less, ratio, share, withLimits, type Part, type Reader } from '../figure.ts';

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
        const strict = points.find(({ fmr, point }) => fmr === 1e-4 && point !== null);
        return [
          { name: `${name}, EER`, ...withLimits(eer, eerLimits), ...share, ...less },
          ...(strict?.point
            ? [
                {
                  name: `${name}, FNMR at FMR 10⁻⁴`,
                  ...withLimits(strict.point.fnmr, strict.limits),
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
    const { fnmr } = all;
    return [
      ...(fnmr === undefined
        ? []
        : [{ name: 'FNMR of all', ...withLimits(fnmr.share, fnmr.limits), ...share, ...less }]),
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
