/** What searches cost by the number of subjects, as a picture: SVG that needs nothing else. */
import { COLOURS, escape, LETTER, place, power, text } from '../picture.ts';
import { costAt, type CostLine } from './cost-line.ts';

export interface CostCurve {
  readonly name: string;
  /** Measured; milliseconds. */
  readonly points: readonly { readonly subjects: number; readonly cost: number }[];
  /** Drawn on to the end of the axis; undefined: nothing is predicted. */
  readonly line: CostLine | undefined;
}

const PLOT = { left: 80, top: 50, right: 600, bottom: 470 } as const;

/**
 * Both axes are logarithmic. Dots were measured, dashes are predicted.
 * @param most - subjects at the end of the axis
 */
export function costPlot(title: string, curves: readonly CostCurve[], most: number): string {
  const sizes = [...curves.flatMap(({ points }) => points.map(({ subjects }) => subjects)), most];
  const costs = curves.flatMap(({ points, line }) => [
    ...points.map(({ cost }) => cost),
    ...(line === undefined ? [] : [costAt(line, most)]),
  ]);
  const x = axis(sizes, PLOT.left, PLOT.right);
  const y = axis(costs, PLOT.bottom, PLOT.top);
  const legend = PLOT.right + 18;
  const width = legend + 34 + LETTER * Math.max(...curves.map(({ name }) => name.length));
  const height = PLOT.bottom + 70;
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="13">`,
    `<title>${escape(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text(PLOT.left, 28, title, 'start', 'font-size="16"'),
    ...x.powers.flatMap((exponent) => [
      `<path d="M${place(x.at(10 ** exponent))} ${PLOT.top}V${PLOT.bottom}" stroke="#ccc"/>`,
      power(x.at(10 ** exponent), PLOT.bottom + 20, exponent),
    ]),
    ...y.powers.flatMap((exponent) => [
      `<path d="M${PLOT.left} ${place(y.at(10 ** exponent))}H${PLOT.right}" stroke="#ccc"/>`,
      text(PLOT.left - 8, y.at(10 ** exponent) + 4, String(10 ** exponent), 'end'),
    ]),
    ...curves.flatMap(({ name, points, line }, i) => {
      const style = `stroke="${COLOURS[i % COLOURS.length]}" fill="none" stroke-width="1.8"`;
      const path = points.map(({ subjects, cost }) => `${place(x.at(subjects))} ${place(y.at(cost))}`).join('L');
      const dots = points.map(
        ({ subjects, cost }) =>
          `<circle cx="${place(x.at(subjects))}" cy="${place(y.at(cost))}" r="3" fill="${COLOURS[i % COLOURS.length]}"/>`,
      );
      const last = points.at(-1)?.subjects ?? most;
      const steps = Array.from({ length: 21 }, (_, k) => last * (most / last) ** (k / 20));
      const beyond =
        line && steps.map((subjects) => `${place(x.at(subjects))} ${place(y.at(costAt(line, subjects)))}`).join('L');
      const at = PLOT.top + 12 + 22 * i;
      return [
        `<path d="M${path}" ${style}/>`,
        ...dots,
        ...(beyond === undefined ? [] : [`<path d="M${beyond}" ${style} stroke-dasharray="6 4"/>`]),
        `<path d="M${legend} ${at}h26" ${style}/>`,
        text(legend + 34, at + 4, name, 'start'),
      ];
    }),
    text((PLOT.left + PLOT.right) / 2, PLOT.bottom + 45, 'subjects'),
    text(0, 0, 'CPU milliseconds', 'middle', `transform="translate(18 ${(PLOT.top + PLOT.bottom) / 2}) rotate(-90)"`),
    '</svg>',
  ].join('\n')}\n`;
}

function axis(values: readonly number[], from: number, to: number) {
  const lowest = Math.floor(Math.log10(Math.min(...values)));
  const highest = Math.max(lowest + 1, Math.ceil(Math.log10(Math.max(...values))));
  const powers = Array.from({ length: highest - lowest + 1 }, (_, i) => lowest + i);
  const at = (value: number) => from + ((Math.log10(value) - lowest) / (highest - lowest)) * (to - from);
  return { powers, at };
}
