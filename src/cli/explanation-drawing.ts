/** Draws the explanation of a finger comparison score as a self-contained SVG file. */
import { minutiaeOf, type ComparedMinutia, type ExplainedComparison } from '../matching/model/explained-comparison.ts';

/** Two prints and the explanation of their comparison. */
export interface DrawnComparison {
  /** Shown above the prints. */
  readonly probeName: string;
  readonly referenceName: string;
  /** The packed fingers. */
  readonly probe: Uint8Array;
  readonly reference: Uint8Array;
  readonly explanation: ExplainedComparison;
}

const WIDTH = 1200;
const MARGIN = 24;
const GAP = 24;
const PANEL = { width: (WIDTH - 2 * MARGIN - 2 * GAP) / 3, height: 460, top: 92, padding: 18 };
const TICK = 11;
const ROW = 22;
const PROBE = '#1d4ed8';
const REFERENCE = '#b45309';
const UNPAIRED = '#8a8f98';
const PAIR = '#0f766e';

interface Point {
  /** Pixels of the prints, y upwards. */
  readonly x: number;
  readonly y: number;
}

interface DrawnMinutia extends Point {
  /** Radians, counter-clockwise. */
  readonly direction: number;
  readonly type: ComparedMinutia['type'];
}

type Place = (point: Point) => Point;

/** The drawing: both prints with lines between paired minutiae, the overlay, and the table of terms; 1200 wide. */
export function drawExplanation({ probe, reference, explanation, ...names }: DrawnComparison): string {
  const [a, b] = [minutiaeOf(probe).map(drawn), minutiaeOf(reference).map(drawn)];
  const moved = explanation.alignment && a.map((minutia) => move(minutia, explanation.alignment));
  const overlay = [...b, ...(moved ?? [])];
  const scale = Math.min(...[a, b, overlay].map(scaleOf));
  const [left, middle, right] = [a, b, overlay].map((points, panel) => placing(points, panel, scale));
  const pairedA = new Set(explanation.pairs.map((pair) => pair.probe.index));
  const pairedB = new Set(explanation.pairs.map((pair) => pair.reference.index));
  const parts = [
    text(
      MARGIN,
      34,
      `Score ${explanation.score}, ${explanation.pairs.length} paired minutiae`,
      'font-size="20" font-weight="600"',
    ),
    text(MARGIN, 56, LEGEND, 'font-size="13" fill="#4b5563"'),
    ...[`Probe: ${names.probeName}`, `Reference: ${names.referenceName}`, 'Probe moved onto the reference'].map(panel),
    `<g class="pair-lines" stroke="${PAIR}" stroke-width="0.8" stroke-opacity="0.55">`,
    ...explanation.pairs.map((pair) => line(left(pair.probe), middle(pair.reference), 'class="pair"')),
    '</g>',
    ...a.map((minutia, i) => tick(minutia, left, pairedA.has(i) ? PROBE : UNPAIRED)),
    ...b.map((minutia, i) => tick(minutia, middle, pairedB.has(i) ? REFERENCE : UNPAIRED)),
    ...explanation.pairs.flatMap((pair, z) => [
      label(left(pair.probe), z + 1, PROBE),
      label(middle(pair.reference), z + 1, REFERENCE),
    ]),
    ...(moved === undefined
      ? [text(panelLeft(2) + PANEL.padding, PANEL.top + 40, 'No alignment was found.', 'font-size="14"')]
      : [
          ...b.map((minutia, j) => tick(minutia, right, pairedB.has(j) ? REFERENCE : UNPAIRED)),
          ...moved.map((minutia, i) => tick(minutia, right, pairedA.has(i) ? PROBE : UNPAIRED)),
          ...explanation.pairs.map((pair) =>
            line(
              right(moved[pair.probe.index]),
              right(pair.reference),
              `class="residual" stroke="${PAIR}" stroke-width="1.5"`,
            ),
          ),
        ]),
    ...table(explanation, PANEL.top + PANEL.height + 44),
  ];
  const height = PANEL.top + PANEL.height + 44 + ROW * (explanation.terms.length + 2) + MARGIN;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" fill="#111827">`,
    '<title>Explanation of a finger comparison</title>',
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

const LEGEND =
  'Circle: ridge ending. Square: bifurcation. Diamond: other. The tick points in the minutia’s direction. Blue: probe, orange: reference, grey: unpaired.';

function drawn({ x, y, angle, type }: ComparedMinutia): DrawnMinutia {
  return { x, y, direction: (angle * 2 * Math.PI) / 256, type };
}

/** The probe's minutia in the reference's coordinates. */
function move(minutia: DrawnMinutia, alignment: ExplainedComparison['alignment']): DrawnMinutia {
  const [a, b, c, d, e, f] = alignment ?? [1, 0, 0, 0, 1, 0];
  const { x, y, direction, type } = minutia;
  const [u, v] = [Math.cos(direction), Math.sin(direction)];
  return { x: a * x + b * y + c, y: d * x + e * y + f, direction: Math.atan2(d * u + e * v, a * u + b * v), type };
}

interface Box {
  readonly left: number;
  readonly bottom: number;
  readonly width: number;
  readonly height: number;
}

function boxOf(points: readonly Point[]): Box {
  const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)];
  const [left, bottom] = [Math.min(...xs), Math.min(...ys)];
  return { left, bottom, width: Math.max(1, Math.max(...xs) - left), height: Math.max(1, Math.max(...ys) - bottom) };
}

/** Drawing units per pixel of a print: the points then fit in a panel. */
function scaleOf(points: readonly Point[]): number {
  const { width, height } = boxOf(points);
  const room = 2 * PANEL.padding;
  return Math.min((PANEL.width - room) / width, (PANEL.height - room) / height);
}

function panelLeft(panel: number): number {
  return MARGIN + panel * (PANEL.width + GAP);
}

/** Maps points of a print into the drawing: centred in their panel, y downwards. */
function placing(points: readonly Point[], panel: number, scale: number): Place {
  const { left, bottom, width, height } = boxOf(points);
  const [x0, y0] = [panelLeft(panel) + PANEL.width / 2, PANEL.top + PANEL.height / 2];
  return ({ x, y }) => ({
    x: x0 + scale * (x - left - width / 2),
    y: y0 - scale * (y - bottom - height / 2),
  });
}

function panel(title: string, i: number): string {
  const frame = `<rect x="${panelLeft(i)}" y="${PANEL.top}" width="${PANEL.width}" height="${PANEL.height}" fill="none" stroke="#d1d5db"/>`;
  return `${text(panelLeft(i), PANEL.top - 8, shortened(title), 'font-size="14" font-weight="600"')}\n${frame}`;
}

function shortened(title: string): string {
  const letters = [...title];
  return letters.length <= 46 ? title : `${letters.slice(0, 30).join('')}…${letters.slice(-15).join('')}`;
}

/** A minutia: its place, marked by its type, and a tick in its direction. */
function tick({ direction, type, ...point }: DrawnMinutia, place: Place, colour: string): string {
  const { x, y } = place(point);
  const end = { x: x + TICK * Math.cos(direction), y: y - TICK * Math.sin(direction) };
  const marks = [
    `<path d="M${at(x)} ${at(y - 4)}l4 4l-4 4l-4 -4z"/>`,
    `<circle cx="${at(x)}" cy="${at(y)}" r="3"/>`,
    `<rect x="${at(x - 3)}" y="${at(y - 3)}" width="6" height="6"/>`,
  ];
  return `<g class="minutia" stroke="${colour}" stroke-width="1.4" fill="#ffffff">${line({ x, y }, end, '')}${marks[type]}</g>`;
}

function label({ x, y }: Point, number: number, colour: string): string {
  return text(x + 5, y + 11, String(number), `font-size="9" fill="${colour}"`);
}

function line(from: Point, to: Point, attributes: string): string {
  return `<line${attributes === '' ? '' : ` ${attributes}`} x1="${at(from.x)}" y1="${at(from.y)}" x2="${at(to.x)}" y2="${at(to.y)}"/>`;
}

function table({ score, terms }: ExplainedComparison, top: number): string[] {
  const rows = [
    { name: 'Term', meaning: 'Measures', points: 'Points', style: 'font-weight="600"' },
    ...terms.map(({ name, meaning, points }) => ({ name, meaning, points: pointsInWords(points), style: '' })),
    { name: 'Score', meaning: 'the sum, rounded, from 0 to 65535', points: String(score), style: 'font-weight="600"' },
  ];
  return rows.flatMap(({ name, meaning, points, style }, i) => {
    const y = top + i * ROW;
    return [
      text(MARGIN, y, name, `font-size="13" ${style}`),
      text(MARGIN + 150, y, meaning, `font-size="13" ${style}`),
      text(WIDTH - MARGIN, y, points, `font-size="13" text-anchor="end" ${style}`),
      `<line x1="${MARGIN}" y1="${y + 6}" x2="${WIDTH - MARGIN}" y2="${y + 6}" stroke="#e5e7eb"/>`,
    ];
  });
}

/** Points to one decimal place, with a real minus sign. */
export function pointsInWords(points: number): string {
  const rounded = points.toFixed(1);
  if (Number(rounded) === 0) return '0.0';
  return points < 0 ? `−${rounded.slice(1)}` : rounded;
}

function at(value: number): string {
  return value.toFixed(1);
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${at(x)}" y="${at(y)}" ${attributes.trim()}>${escaped(content)}</text>`;
}

/** Escapes text for XML. Characters that XML cannot hold become question marks. */
function escaped(content: string): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return (
    content
      .toWellFormed()
      // eslint-disable-next-line no-control-regex -- control characters are what XML cannot hold
      .replace(/[\u0000-\u001f\u007f\ufffe\uffff]/g, '?')
      .replace(/[&<>"]/g, (character) => entities[character] ?? character)
  );
}
