/** Detection error trade-off curves as a picture: SVG that needs nothing else. */
import { detCurve, type Scores } from '../../index-builder/error-rates.ts';

export interface DetLine {
  readonly name: string;
  readonly scores: Scores;
}

const [WIDTH, HEIGHT] = [860, 560];
const PLOT = { left: 80, top: 50, right: 600, bottom: 490 } as const;
/** Colours that also people with colour vision deficiency tell apart (Okabe, Ito 2008), and dashes for more lines. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];
const DASHES = ['', '7 4', '2 3', '10 3 2 3'];

/** An axis of powers of ten; shares below the lowest are drawn on its edge. */
interface Axis {
  readonly lowest: number;
  readonly at: (share: number) => number;
}

/** FMR to the right and FNMR upwards, both logarithmic. */
export function detPlot(title: string, lines: readonly DetLine[]): string {
  const x = axis(
    lines.map(({ scores }) => scores.nonMated.length),
    PLOT.left,
    PLOT.right,
  );
  const y = axis(
    lines.map(({ scores }) => scores.mated.length),
    PLOT.bottom,
    PLOT.top,
  );
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="sans-serif" font-size="13">`,
    `<title>${escape(title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(PLOT.left, 28, title, 'start', 'font-size="16"'),
    ...grid(x, y),
    ...lines.flatMap((line, i) => drawLine(line, i, x, y)),
    text((PLOT.left + PLOT.right) / 2, PLOT.bottom + 45, 'false match rate (FMR)'),
    text(
      0,
      0,
      'false non-match rate (FNMR)',
      'middle',
      `transform="translate(24 ${(PLOT.top + PLOT.bottom) / 2}) rotate(-90)"`,
    ),
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}

/** From the share that one comparison of the largest set is, rounded down to a power of ten, to 1. */
function axis(counts: readonly number[], from: number, to: number): Axis {
  const lowest = -Math.max(1, Math.ceil(Math.log10(Math.max(...counts)) - 1e-9));
  const at = (share: number) => {
    const exponent = share > 0 ? Math.max(lowest, Math.log10(share)) : lowest;
    return to - (exponent / lowest) * (to - from);
  };
  return { lowest, at };
}

function grid(x: Axis, y: Axis): string[] {
  const parts: string[] = [];
  for (let exponent = x.lowest; exponent <= 0; exponent++) {
    const at = place(x.at(10 ** exponent));
    parts.push(
      `<path d="M${at} ${PLOT.top}V${PLOT.bottom}" stroke="#ddd"/>`,
      power(Number(at), PLOT.bottom + 20, exponent, 'middle'),
    );
  }
  for (let exponent = y.lowest; exponent <= 0; exponent++) {
    const at = place(y.at(10 ** exponent));
    parts.push(
      `<path d="M${PLOT.left} ${at}H${PLOT.right}" stroke="#ddd"/>`,
      power(PLOT.left - 8, Number(at) + 4, exponent, 'end'),
    );
  }
  const equal = Math.max(x.lowest, y.lowest);
  const [ex, ey] = [place(x.at(10 ** equal)), place(y.at(10 ** equal))];
  parts.push(`<path d="M${ex} ${ey}L${PLOT.right} ${PLOT.top}" stroke="#bbb" stroke-dasharray="1 4"/>`);
  const [width, height] = [PLOT.right - PLOT.left, PLOT.bottom - PLOT.top];
  parts.push(`<rect x="${PLOT.left}" y="${PLOT.top}" width="${width}" height="${height}" fill="none" stroke="#888"/>`);
  return parts;
}

function drawLine({ name, scores }: DetLine, i: number, x: Axis, y: Axis): string[] {
  const dash = DASHES[Math.floor(i / COLOURS.length) % DASHES.length];
  const style = `stroke="${COLOURS[i % COLOURS.length]}" stroke-width="1.8" fill="none"${dash && ` stroke-dasharray="${dash}"`}`;
  const at = PLOT.top + 12 + 22 * i;
  return [
    `<path class="det" d="${detPath(scores, x, y)}" ${style}/>`,
    `<path d="M${PLOT.right + 18} ${at}h26" ${style}/>`,
    text(PLOT.right + 52, at + 4, name, 'start'),
  ];
}

/** Steps, because between two thresholds nothing was measured; steps too small to be seen are left out. */
function detPath(scores: Scores, x: Axis, y: Axis): string {
  const commands: string[] = [];
  let [lastX, lastY] = [x.at(0), y.at(1)];
  commands.push(`M${place(lastX)} ${place(lastY)}`);
  const draw = (command: string) => {
    // A line that goes on in its direction is one line.
    if (commands.at(-1)?.startsWith(command[0])) commands.pop();
    commands.push(command);
  };
  const curve = detCurve(scores);
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

function place(value: number): string {
  return value.toFixed(1);
}

function text(x: number, y: number, content: string, anchor = 'middle', attributes = ''): string {
  return `<text x="${place(x)}" y="${place(y)}" text-anchor="${anchor}" ${attributes}>${escape(content)}</text>`;
}

function power(x: number, y: number, exponent: number, anchor: string): string {
  const raised = `10<tspan dy="-5" font-size="9">${String(exponent).replace('-', '−')}</tspan>`;
  return `<text x="${place(x)}" y="${place(y)}" text-anchor="${anchor}">${exponent === 0 ? '1' : raised}</text>`;
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
