/** Detection error trade-off curves as a self-contained SVG. */
import { detCurve, type Scores } from '../../index-builder/statistics/error-rates.ts';
import { COLOURS, escape, LETTER, place, power, text } from '../drawing/picture.ts';

const PLOT = { left: 96, top: 50, right: 616, bottom: 490 } as const;
const LEGEND = { left: PLOT.right + 18, step: 22, width: 34 } as const;
/** For more lines than there are colours. */
const DASHES = ['', '7 4', '2 3', '10 3 2 3'];

/** An axis of powers of ten; shares beyond its ends are drawn on its edges. */
interface Axis {
  /** Exponents of its ends. */
  readonly lowest: number;
  readonly highest: number;
  readonly at: (share: number) => number;
}

/** The measured curve of a set: both rates, from the FMR of one false match on. */
export interface MeasuredCurve {
  readonly name: string;
  /** Comparisons. */
  readonly mated: number;
  readonly nonMated: number;
  readonly curve: readonly { readonly fmr: number; readonly fnmr: number }[];
}

/** Steps that change both rates by less than this share are left out. */
const FINEST = 0.005;

export function detTitle(folds: number | undefined): string {
  return `Finger comparison: ${folds === undefined ? 'shipped model' : `cross-validated, ${folds} folds`}`;
}

/** FMR to the right and FNMR upwards, both logarithmic, as far as they were measured. */
export function detPlot(title: string, measured: readonly MeasuredCurve[]): string {
  const points = measured.flatMap(({ curve }) => curve);
  const x = axis(
    points.map(({ fmr }) => fmr),
    Math.max(...measured.map(({ nonMated }) => nonMated)),
    PLOT.left,
    PLOT.right,
  );
  const y = axis(
    points.map(({ fnmr }) => fnmr),
    Math.max(...measured.map(({ mated }) => mated)),
    PLOT.bottom,
    PLOT.top,
  );
  const names = [...measured.map(({ name }) => name), EQUAL];
  const width = LEGEND.left + LEGEND.width + LETTER * Math.max(18, ...names.map(({ length }) => length)) + 20;
  const height = Math.max(PLOT.bottom + 90, PLOT.top + LEGEND.step * names.length + 20);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="13">`,
    `<title>${escape(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text(PLOT.left, 28, title, 'start', 'font-size="16"'),
    ...grid(x, y),
    ...measured.flatMap((line, i) => drawLine(line, i, x, y)),
    ...drawEqual(measured.length, x, y),
    text((PLOT.left + PLOT.right) / 2, PLOT.bottom + 45, 'false match rate (FMR)'),
    text(
      (PLOT.left + PLOT.right) / 2,
      PLOT.bottom + 70,
      'Lines begin at one false match and end where every aligned pair matches. FNMR 0 is on the lower edge.',
      'middle',
      'font-size="11" fill="#555"',
    ),
    text(
      0,
      0,
      'false non-match rate (FNMR)',
      'middle',
      `transform="translate(18 ${(PLOT.top + PLOT.bottom) / 2}) rotate(-90)"`,
    ),
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}

/** Below the FMR of one false match nothing was measured: the line begins there, at the FNMR without false matches. */
export function measuredCurve(name: string, scores: Scores): MeasuredCurve {
  const all = detCurve(scores);
  const clean = all.filter(({ fmr }) => fmr === 0).at(-1);
  const curve = [{ fmr: 1 / scores.nonMated.length, fnmr: clean?.fnmr ?? 1 }];
  const steps = all.filter(({ fmr }) => fmr > 0);
  steps.forEach(({ fmr, fnmr }, i) => {
    const last = curve[curve.length - 1];
    const isFine = fmr <= last.fmr * (1 + FINEST) && fnmr >= last.fnmr * (1 - FINEST);
    if (!isFine || i === steps.length - 1) curve.push({ fmr, fnmr });
  });
  return { name, mated: scores.mated.length, nonMated: scores.nonMated.length, curve };
}

/**
 * From the power of ten below the shares to the one above.
 * @param count - comparisons of the largest set: if a share is zero, the axis begins below the share of one comparison
 */
function axis(shares: readonly number[], count: number, from: number, to: number): Axis {
  const above = (share: number) => Math.min(0, Math.ceil(Math.log10(share) - 1e-9));
  const below = (share: number) => Math.floor(Math.log10(share) + 1e-9);
  const highest = above(Math.max(...shares, 1 / count));
  const least = Math.min(...shares);
  const lowest = Math.min(highest - 1, below(least > 0 ? least : 1 / count));
  const at = (share: number) => {
    const exponent = share > 0 ? Math.min(highest, Math.max(lowest, Math.log10(share))) : lowest;
    return from + ((exponent - lowest) / (highest - lowest)) * (to - from);
  };
  return { lowest, highest, at };
}

function grid(x: Axis, y: Axis): string[] {
  const parts: string[] = [];
  for (const { share, exponent, isPower } of steps(x)) {
    const at = x.at(share);
    parts.push(`<path d="M${place(at)} ${PLOT.top}V${PLOT.bottom}" stroke="${isPower ? '#ccc' : '#eee'}"/>`);
    if (isPower) parts.push(power(at, PLOT.bottom + 20, exponent));
  }
  for (const { share, isPower } of steps(y)) {
    const at = y.at(share);
    parts.push(
      `<path d="M${PLOT.left} ${place(at)}H${PLOT.right}" stroke="${isPower ? '#ccc' : '#eee'}"/>`,
      text(PLOT.left - 8, at + 4, `${Number((100 * share).toPrecision(1))} %`, 'end'),
    );
  }
  const [width, height] = [PLOT.right - PLOT.left, PLOT.bottom - PLOT.top];
  parts.push(`<rect x="${PLOT.left}" y="${PLOT.top}" width="${width}" height="${height}" fill="none" stroke="#888"/>`);
  return parts;
}

/** 1, 2, 5, 10 … */
function steps({ lowest, highest }: Axis): { share: number; exponent: number; isPower: boolean }[] {
  return Array.from({ length: highest - lowest + 1 }, (_, i) => lowest + i).flatMap((exponent) =>
    (exponent === highest ? [1] : [1, 2, 5]).map((factor) => ({
      share: factor * 10 ** exponent,
      exponent,
      isPower: factor === 1,
    })),
  );
}

function drawLine({ name, curve }: MeasuredCurve, i: number, x: Axis, y: Axis): string[] {
  const dash = DASHES[Math.floor(i / COLOURS.length) % DASHES.length];
  const style = `stroke="${COLOURS[i % COLOURS.length]}" stroke-width="1.8" fill="none"${dash && ` stroke-dasharray="${dash}"`}`;
  return [`<path class="det" d="${detPath(curve, x, y)}" ${style}/>`, ...legend(i, name, style)];
}

const EQUAL = 'FMR = FNMR';

/** The line of equal rates: a curve crosses it at its equal error rate. Empty if the axes do not meet. */
function drawEqual(i: number, x: Axis, y: Axis): string[] {
  const [least, most] = [10 ** Math.max(x.lowest, y.lowest), 10 ** Math.min(x.highest, y.highest)];
  if (least >= most) return [];
  const style = 'stroke="#888" stroke-dasharray="1 4"';
  const [from, to] = [least, most].map((share) => `${place(x.at(share))} ${place(y.at(share))}`);
  return [`<path d="M${from}L${to}" ${style}/>`, ...legend(i, EQUAL, style)];
}

function legend(i: number, name: string, style: string): string[] {
  const at = PLOT.top + 12 + LEGEND.step * i;
  return [`<path d="M${LEGEND.left} ${at}h26" ${style}/>`, text(LEGEND.left + LEGEND.width, at + 4, name, 'start')];
}

/** Steps, because between two thresholds nothing was measured; steps too small to be seen are left out. */
function detPath(curve: MeasuredCurve['curve'], x: Axis, y: Axis): string {
  let [lastX, lastY] = [x.at(curve[0].fmr), y.at(curve[0].fnmr)];
  const commands = [`M${place(lastX)} ${place(lastY)}`];
  const draw = (command: string) => {
    // Consecutive segments of one direction are merged.
    if (commands.at(-1)?.startsWith(command[0])) commands.pop();
    commands.push(command);
  };
  curve.forEach(({ fmr, fnmr }, i) => {
    const [px, py] = [x.at(fmr), y.at(fnmr)];
    const isLast = i === curve.length - 1;
    if (!isLast && Math.abs(px - lastX) < 0.5 && Math.abs(py - lastY) < 0.5) return;
    if (place(px) !== place(lastX)) draw(`H${place(px)}`);
    if (place(py) !== place(lastY)) draw(`V${place(py)}`);
    [lastX, lastY] = [px, py];
  });
  return commands.join('');
}
