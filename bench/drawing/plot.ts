/** Lines over two axes, as a self-contained SVG. */
import { COLOURS, escape, LETTER, place, text } from './picture.ts';

export interface Line {
  readonly name: string;
  /** Measured. */
  readonly points: readonly Point[];
  /** Extrapolated or predicted points; the line continues dashed. */
  readonly beyond?: readonly Point[];
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface PlotOptions {
  readonly title: string;
  readonly x: AxisOptions;
  readonly y: AxisOptions;
  readonly lines: readonly Line[];
}

export interface AxisOptions {
  readonly name: string;
  readonly isLogarithmic: boolean;
  /** Label of a value of the axis. */
  readonly label?: (value: number) => string;
}

const PLOT = { left: 90, top: 46, right: 560, bottom: 360 } as const;
const LEGEND = PLOT.right + 18;

export function plot({ title, x, y, lines }: PlotOptions): string {
  const points = lines.flatMap((line) => [...line.points, ...(line.beyond ?? [])]);
  const [across, up] = [
    axisOf(
      points.map((point) => point.x),
      x,
      PLOT.left,
      PLOT.right,
    ),
    axisOf(
      points.map((point) => point.y),
      y,
      PLOT.bottom,
      PLOT.top,
    ),
  ];
  const width = LEGEND + 40 + LETTER * Math.max(8, ...lines.map(({ name }) => name.length));
  const height = PLOT.bottom + 60;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="13" role="img" aria-label="${escape(title)}">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text(PLOT.left, 26, title, 'start', 'font-size="15"'),
    ...across.ticks.flatMap((tick) => [
      `<path d="M${place(across.at(tick))} ${PLOT.top}V${PLOT.bottom}" stroke="#ddd"/>`,
      text(across.at(tick), PLOT.bottom + 18, across.label(tick)),
    ]),
    ...up.ticks.flatMap((tick) => [
      `<path d="M${PLOT.left} ${place(up.at(tick))}H${PLOT.right}" stroke="#ddd"/>`,
      text(PLOT.left - 8, up.at(tick) + 4, up.label(tick), 'end'),
    ]),
    ...lines.flatMap(({ name, points: own, beyond = [] }, i) => {
      const style = `stroke="${COLOURS[i % COLOURS.length]}" fill="none" stroke-width="1.8"`;
      const path = (part: readonly Point[], dashes = '') =>
        part.length < 2
          ? []
          : [
              `<path d="M${part.map((point) => `${place(across.at(point.x))} ${place(up.at(point.y))}`).join('L')}" ${style}${dashes}/>`,
            ];
      const level = PLOT.top + 12 + 22 * i;
      return [
        ...path(own),
        ...path([...own.slice(-1), ...beyond], ' stroke-dasharray="6 4"'),
        ...own.map(
          (point) =>
            `<circle cx="${place(across.at(point.x))}" cy="${place(up.at(point.y))}" r="2.5" fill="${COLOURS[i % COLOURS.length]}"/>`,
        ),
        `<path d="M${LEGEND} ${level}h26" ${style}/>`,
        text(LEGEND + 34, level + 4, name, 'start'),
      ];
    }),
    text((PLOT.left + PLOT.right) / 2, PLOT.bottom + 42, x.name),
    text(0, 0, y.name, 'middle', `transform="translate(18 ${(PLOT.top + PLOT.bottom) / 2}) rotate(-90)"`),
    '</svg>',
  ].join('\n');
}

function axisOf(values: readonly number[], { isLogarithmic, label = String }: AxisOptions, from: number, to: number) {
  return isLogarithmic ? logarithmic(values, label, from, to) : linear(values, label, from, to);
}

/** A logarithmic axis; values of 0 are drawn at its lower end. */
function logarithmic(values: readonly number[], label: (value: number) => string, from: number, to: number) {
  const positive = values.filter((value) => value > 0);
  const lowest = Math.floor(Math.log10(Math.min(...positive)) + 1e-9);
  const highest = Math.max(lowest + 1, Math.ceil(Math.log10(Math.max(...positive)) - 1e-9));
  const ticks = Array.from({ length: highest - lowest + 1 }, (_, i) => 10 ** (lowest + i));
  const at = (value: number) => {
    const exponent = value > 0 ? Math.log10(value) : lowest;
    return from + ((exponent - lowest) / (highest - lowest)) * (to - from);
  };
  return { ticks, at, label };
}

function linear(values: readonly number[], label: (value: number) => string, from: number, to: number) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const range = most - least || 1;
  const step = 10 ** Math.floor(Math.log10(range));
  const width = range / step > 5 ? 2 * step : range / step > 2 ? step : step / 2;
  const [lowest, highest] = [Math.floor(least / width) * width, Math.ceil(most / width) * width];
  const count = Math.round((highest - lowest) / width);
  const ticks = Array.from({ length: count + 1 }, (_, i) => Number((lowest + i * width).toPrecision(6)));
  const at = (value: number) => from + ((value - lowest) / (highest - lowest)) * (to - from);
  return { ticks, at, label };
}
