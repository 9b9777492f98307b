/** Least-squares fits of the first finger to the second, in plain TypeScript. See assembly/finger/alignment.ts. */
import type { StrongPair } from './consensus.ts';
import type { Finger, Pair } from './finger.ts';

/** A transformation, its rotation, and the centre of the matches in the second finger. */
export interface Alignment {
  readonly c: number;
  readonly s: number;
  readonly centreX: number;
  readonly centreY: number;
  /** Deviation from a rotation. */
  readonly bending: number;
  /** Moves a point of the first finger, in single precision. */
  move(x: number, y: number): { readonly x: number; readonly y: number };
}

interface Point {
  readonly x: number;
  readonly y: number;
}

const LEVER_SQUARED = 400;
const RIDGE = 7500;

function alignment(matrix: readonly [number, number, number, number], turn: Turn, from: Point, to: Point): Alignment {
  const [xx, xy, yx, yy] = matrix;
  const x0 = to.x - xx * from.x - xy * from.y;
  const y0 = to.y - yx * from.x - yy * from.y;
  const move = (x: number, y: number) => ({
    x: Math.fround(xx * x + xy * y + x0),
    y: Math.fround(yx * x + yy * y + y0),
  });
  const bending = Math.abs(xx * yy - xy * yx - 1) + Math.abs(xx - turn.c) + Math.abs(xy + turn.s);
  return { ...turn, centreX: to.x, centreY: to.y, bending, move };
}

interface Turn {
  readonly c: number;
  readonly s: number;
}

function turnTo(c: number, s: number): Turn {
  const length = Math.sqrt(c * c + s * s);
  return length > 0 ? { c: c / length, s: s / length } : { c: 1, s: 0 };
}

/** Rigid fit to the pairs of a cluster, weighted by their strength. */
export function alignCluster(pairs: readonly StrongPair[]): Alignment {
  const total = (value: (pair: StrongPair) => number) =>
    pairs.reduce((sum, pair) => sum + (pair.strength + 0.01) * value(pair), 0);
  const weight = total(() => 1);
  const from = { x: total(({ ax }) => ax) / weight, y: total(({ ay }) => ay) / weight };
  const to = { x: total(({ bx }) => bx) / weight, y: total(({ by }) => by) / weight };
  let c = 0;
  let s = 0;
  for (const pair of pairs) {
    const w = pair.strength + 0.01;
    const [dx, dy, ex, ey] = [pair.ax - from.x, pair.ay - from.y, pair.bx - to.x, pair.by - to.y];
    c += w * (dx * ex + dy * ey + LEVER_SQUARED * pair.c);
    s += w * (dx * ey - dy * ex + LEVER_SQUARED * pair.s);
  }
  const turn = turnTo(c, s);
  return alignment([turn.c, -turn.s, turn.s, turn.c], turn, from, to);
}

/** Fit to matched minutiae: rigid, or affine regularised towards the rotation. */
export function alignMatches(a: Finger, b: Finger, matches: readonly Pair[], affine: boolean): Alignment {
  const mean = (value: (match: Pair) => number) => matches.reduce((sum, pair) => sum + value(pair), 0) / matches.length;
  const from = { x: mean(({ i }) => a.x[i]), y: mean(({ i }) => a.y[i]) };
  const to = { x: mean(({ j }) => b.x[j]), y: mean(({ j }) => b.y[j]) };
  let [sxx, sxy, syy, exx, exy, eyx, eyy] = [0, 0, 0, 0, 0, 0, 0];
  for (const { i, j } of matches) {
    const [dx, dy] = [a.x[i] - from.x, a.y[i] - from.y];
    const [ex, ey] = [b.x[j] - to.x, b.y[j] - to.y];
    sxx += dx * dx;
    sxy += dx * dy;
    syy += dy * dy;
    exx += ex * dx;
    exy += ex * dy;
    eyx += ey * dx;
    eyy += ey * dy;
  }
  const turn = turnTo(exx + eyy, eyx - exy);
  if (!affine) return alignment([turn.c, -turn.s, turn.s, turn.c], turn, from, to);
  const p = sxx + RIDGE;
  const d = syy + RIDGE;
  const determinant = p * d - sxy * sxy;
  const rxx = exx + RIDGE * turn.c;
  const rxy = exy - RIDGE * turn.s;
  const ryx = eyx + RIDGE * turn.s;
  const ryy = eyy + RIDGE * turn.c;
  const matrix = [
    (rxx * d - rxy * sxy) / determinant,
    (rxy * p - rxx * sxy) / determinant,
    (ryx * d - ryy * sxy) / determinant,
    (ryy * p - ryx * sxy) / determinant,
  ] as const;
  return alignment(matrix, turn, from, to);
}
