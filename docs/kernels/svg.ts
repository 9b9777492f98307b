/** Shapes of the pictures, as text. */
import type { Directed, Point } from '../../src/matching/oracle/finger-encoding.ts';

export const COLOURS = {
  probe: '#1d4ed8',
  reference: '#b45309',
  pair: '#0f766e',
  wrong: '#be123c',
  quiet: '#8a8f98',
  frame: '#d1d5db',
  text: '#111827',
} as const;

const TICK = 10;

/** A coordinate, in steps that are the same on every machine. */
export const at = (value: number) => String(Math.round(value * 10) / 10 + 0);

export function picture(width: number, height: number, title: string, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="13" fill="${COLOURS.text}">`,
    `<title>${title}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

export function text(x: number, y: number, content: string, attributes = ''): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${at(x)}" y="${at(y)}"${attributes === '' ? '' : ` ${attributes}`}>${escaped}</text>`;
}

export function line(from: Point, to: Point, colour: string, width = 1, opacity = 1): string {
  return `<line x1="${at(from.x)}" y1="${at(from.y)}" x2="${at(to.x)}" y2="${at(to.y)}" stroke="${colour}" stroke-width="${at(width)}" stroke-opacity="${opacity.toFixed(2)}"/>`;
}

export function circle({ x, y }: Point, radius: number, attributes: string): string {
  return `<circle cx="${at(x)}" cy="${at(y)}" r="${at(radius)}" ${attributes}/>`;
}

export function box(x: number, y: number, width: number, height: number, attributes: string): string {
  return `<rect x="${at(x)}" y="${at(y)}" width="${at(width)}" height="${at(height)}" ${attributes}/>`;
}

/** Where a place of a print, y upwards, lies in the picture. */
export type Placing = ((point: Point) => Point) & { readonly scale: number };

/** Lays points into a panel: as large as they fit, in its middle. */
export function placing(
  points: readonly Point[],
  panel: { readonly x: number; readonly y: number; readonly width: number; readonly height: number },
  scale: number,
): Placing {
  const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)];
  const middle = { x: (Math.min(...xs) + Math.max(...xs)) / 2, y: (Math.min(...ys) + Math.max(...ys)) / 2 };
  const place = ({ x, y }: Point) => ({
    x: panel.x + panel.width / 2 + scale * (x - middle.x),
    y: panel.y + panel.height / 2 - scale * (y - middle.y),
  });
  return Object.assign(place, { scale });
}

/** A minutia: where it is, which way it points; a circle for a ridge ending, a square for a bifurcation. */
export function minutia(one: Directed & { readonly type: number }, place: Placing, colour: string): string {
  const { x, y } = place(one);
  const turn = (one.angle * 2 * Math.PI) / 256;
  const mark =
    one.type === 2
      ? box(x - 3, y - 3, 6, 6, `stroke="${colour}" stroke-width="1.4" fill="#ffffff"`)
      : circle({ x, y }, 3, `stroke="${colour}" stroke-width="1.4" fill="#ffffff"`);
  return line({ x, y }, { x: x + TICK * Math.cos(turn), y: y - TICK * Math.sin(turn) }, colour, 1.4) + mark;
}
