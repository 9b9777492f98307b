/** What of a measurement is better seen than read. */
import type { BenchDocument } from '../harness/document.ts';
import { CURVE } from '../load/percentiles.ts';
import { plot } from './plot.ts';

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
        x: { name: 'penetration: share of the gallery that is compared', isLogarithmic: true, label: percent },
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
        lines: rows.flatMap(({ kind, fnir }) => {
          const measured = fnir.filter(({ extrapolated }) => !extrapolated);
          // From the last that was measured on.
          const beyond = fnir.slice(Math.max(0, measured.length - 1));
          return [
            ...(measured.length === 0 ? [] : [{ name: kind, points: measured.map(at) }]),
            ...(beyond.length < 2 ? [] : [{ name: `${kind}, extrapolated`, points: beyond.map(at), isDashed: true }]),
          ];
        }),
      }),
    ];
  },
  load: (result) => {
    const { steps } = result as { steps: readonly { 'calls/s': number; curve: readonly number[] }[] };
    return [
      plot({
        title: 'How long calls take, by rate',
        x: {
          name: 'share of calls that took longer',
          isLogarithmic: true,
          label: percent,
        },
        y: { name: 'milliseconds', isLogarithmic: true, label: whole },
        lines: steps.map(({ 'calls/s': rate, curve }) => ({
          name: `${rate} calls/s`,
          points: curve
            .map((ms, i) => ({ x: 1 - CURVE[i] / 100, y: ms }))
            // Nothing took longer than the longest.
            .filter(({ x }) => x > 0),
        })),
      }),
    ];
  },
  growth: (result) => {
    const { rows } = result as { rows: readonly { subjects: number; kind: string; way: string; cost: number }[] };
    const names = [...new Set(rows.map(({ kind, way }) => `${kind}, ${way}`))];
    return [
      plot({
        title: 'What a search costs by the size of the gallery',
        x: { name: 'subjects', isLogarithmic: true, label: whole },
        y: { name: 'CPU milliseconds', isLogarithmic: true, label: whole },
        lines: names.map((name) => ({
          name,
          points: rows
            .filter(({ kind, way }) => `${kind}, ${way}` === name)
            .map(({ subjects, cost }) => ({ x: subjects, y: cost })),
        })),
      }),
    ];
  },
  accuracy: (result) => {
    const { figures } = result as {
      figures: readonly {
        name: string;
        kind: string;
        points: readonly { fmr: number; point: { fnmr: number } | null }[];
      }[];
    };
    return [
      plot({
        title: 'FNMR against FMR (`accuracy --plots` draws every step)',
        x: { name: 'false match rate (FMR)', isLogarithmic: true, label: percent },
        y: { name: 'false non-match rate (FNMR)', isLogarithmic: false, label: percent },
        lines: figures
          .filter(({ kind }) => kind === 'set')
          .map(({ name, points }) => ({
            name,
            points: points.flatMap(({ fmr, point }) => (fmr > 0 && point !== null ? [{ x: fmr, y: point.fnmr }] : [])),
          })),
      }),
    ];
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
