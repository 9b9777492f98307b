/** Plots of results. */
import { detPlot, detTitle, type MeasuredCurve } from '../accuracy/det-plot.ts';
import { costPlot, type CostRow } from '../growth/cost-plot.ts';
import type { BenchDocument } from '../harness/document.ts';
import { CURVE } from '../harness/percentiles.ts';
import { plot } from '../drawing/plot.ts';

const percent = (value: number) => `${Number((100 * value).toPrecision(2))} %`;
const whole = (value: number) => value.toLocaleString('en');

export function plotsOf({ bench, result }: BenchDocument): string[] {
  return PLOTS[bench]?.(result) ?? [];
}

const PLOTS: Readonly<Partial<Record<string, (result: unknown) => string[]>>> = {
  penetration: (result) => {
    const { curves, subjects } = result as {
      subjects: number;
      curves: readonly { name: string; points: readonly { penetration: number; hitRate: number }[] }[];
    };
    return [
      plot({
        title: `Hit rate against penetration, ${whole(subjects)} subjects`,
        x: { name: 'penetration rate', isLogarithmic: true, label: percent },
        y: { name: 'hit rate', isLogarithmic: false, label: percent },
        lines: curves.map(({ name, points }) => ({
          name,
          points: points.map(({ penetration, hitRate }) => ({ x: penetration, y: hitRate })),
        })),
      }),
    ];
  },
  e1n: (result) => {
    const { rows, subjects } = result as {
      subjects: number;
      rows: readonly { kind: string; fnir: readonly { fpir: number; share: number; extrapolated: boolean }[] }[];
    };
    const at = ({ fpir, share }: { fpir: number; share: number }) => ({ x: fpir, y: share });
    return [
      plot({
        title: `FNIR against FPIR, ${whole(subjects)} subjects (dashed: extrapolated)`,
        x: { name: 'false positive identification rate (FPIR)', isLogarithmic: true, label: percent },
        y: { name: 'false negative identification rate (FNIR)', isLogarithmic: false, label: percent },
        lines: rows.map(({ kind, fnir }) => ({
          name: kind,
          points: fnir.filter(({ extrapolated }) => !extrapolated).map(at),
          beyond: fnir.filter(({ extrapolated }) => extrapolated).map(at),
        })),
      }),
    ];
  },
  load: (result) => {
    const { steps } = result as { steps: readonly { 'calls/s': number; curve: readonly number[] }[] };
    return [
      plot({
        title: 'Latency by rate',
        x: {
          name: 'share of calls with a higher latency',
          isLogarithmic: true,
          label: percent,
        },
        y: { name: 'milliseconds', isLogarithmic: true, label: whole },
        lines: steps.map(({ 'calls/s': rate, curve }) => ({
          name: `${rate} calls/s`,
          points: curve
            .map((ms, i) => ({ x: 1 - CURVE[i] / 100, y: ms }))
            // The maximum has an exceedance of 0, which a logarithmic axis cannot show.
            .filter(({ x }) => x > 0),
        })),
      }),
    ];
  },
  growth: (result) => [costPlot((result as { rows: readonly CostRow[] }).rows)],
  graph: (result) => {
    const { modality, sizes } = result as {
      modality: string;
      sizes: readonly {
        subjects: number;
        figures: readonly Readonly<
          Record<'graph' | 'codes', readonly { first: { share: number }; timesFaster: number }[]> & { kind: string }
        >[];
      }[];
    };
    const { subjects, figures } = sizes[sizes.length - 1];
    return figures.map(({ kind, graph, codes }) =>
      plot({
        title: `${whole(subjects)} subjects, ${modality}, ${kind}: recall against speed-up`,
        x: { name: 'speed-up over the scan of whole vectors', isLogarithmic: true, label: String },
        y: { name: 'recall of the mates at rank 1 of that scan', isLogarithmic: false, label: percent },
        lines: Object.entries({ graph, codes })
          .filter(([, methods]) => methods.length > 0)
          .map(([name, methods]) => ({
            name,
            points: methods.map(({ first, timesFaster }) => ({ x: timesFaster, y: first.share })),
          })),
      }),
    );
  },
  accuracy: (result) => {
    const { det, crossValidation } = result as {
      det: readonly MeasuredCurve[];
      crossValidation: { folds: number } | null;
    };
    return [detPlot(detTitle(crossValidation?.folds), det)];
  },
  soak: (result) => {
    const { each } = result as { each: readonly { p50: number; p99: number; residentMegabytes: number }[] };
    const line = (name: string, of: (round: (typeof each)[number]) => number) => ({
      name,
      points: each.map((round, i) => ({ x: i + 1, y: of(round) })),
    });
    return [
      plot({
        title: 'Latency by round',
        x: { name: 'round', isLogarithmic: false },
        y: { name: 'milliseconds', isLogarithmic: true, label: whole },
        lines: [line('p50', ({ p50 }) => p50), line('p99', ({ p99 }) => p99)],
      }),
      plot({
        title: 'Memory of the service by round',
        x: { name: 'round', isLogarithmic: false },
        y: { name: 'megabytes', isLogarithmic: false },
        lines: [line('resident', ({ residentMegabytes }) => residentMegabytes)],
      }),
    ];
  },
};
