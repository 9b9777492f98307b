/** The evidence of an alignment, in plain TypeScript. See assembly/finger/evidence.ts. */
import { FIRST_KNOTS, KNOT_COUNT, SCORE_TERMS, WHOLE } from '../model/score-terms.ts';
import type { Alignment } from './alignment.ts';
import { convexHull, squaredDistanceOutside, type Point } from './finger-encoding.ts';
import type { Comparison, Finger, Pair } from './finger.ts';
import { COS_30, geometryOf, type Geometry } from './pairing.ts';

const WORTHLESS_DISTANCE = 1.6;
const CLOSE_SQUARED = 36;
const CLOSE_COSINE = 0.98;
const WITHIN_SQUARED = 100;
const NEAR_SQUARED = 400;
const CROWD_SQUARED = 2500;
const MIN_OVERLAP = 9;
/** In 32nds of the expected skin stretch. */
const SOUND_EDGE = 24;
const f = Math.fround;

const whole = (value: number, most: number) => Math.min(most, Math.floor(value));

/** Sixteenths of octaves of v + 1. */
function octaves(v: number): number {
  const octave = 31 - Math.clz32(v + 1);
  return 16 * octave + ((((v + 1) * 16) >> octave) - 16);
}

/** The mass of each knot, in 256ths. */
class Masses {
  readonly values = new Int32Array(KNOT_COUNT);

  add(name: string, value: number): void {
    const t = SCORE_TERMS.findIndex((term) => term.name === name);
    const { knots, shift } = SCORE_TERMS[t];
    const knot = Math.min(knots - 1, value >> shift);
    const share = knot === knots - 1 ? 0 : ((value % 2 ** shift) * WHOLE) / 2 ** shift;
    this.values[FIRST_KNOTS[t] + knot] += WHOLE - share;
    if (share > 0) this.values[FIRST_KNOTS[t] + knot + 1] += share;
  }
}

interface Sums {
  readonly worth: number;
  readonly turned: number;
  readonly close: number;
  readonly sameTypes: number;
}

/** @returns the masses of all knots, for matches of three pairs or more */
export function weighEvidence(comparison: Comparison, alignment: Alignment, matches: readonly Pair[]): Int32Array {
  const { a, b, distances } = comparison;
  const masses = new Masses();
  masses.add('constant', 0);
  const geometries = matches.map((match) => geometryOf(comparison, alignment, match));
  const places = matches.map(({ j }) => ({ x: b.x[j], y: b.y[j] }));
  const sums = weighPairs(comparison, matches, geometries, masses);
  const sound = weighEdges(geometries, places, masses);
  const moved = a.x.map((x, i) => alignment.move(x, a.y[i]));
  const fixed = b.x.map((x, j) => ({ x, y: b.y[j] }));
  const nearestOfA = distances.map((row) => Math.min(...row));
  const nearestOfB = fixed.map((_, j) => Math.min(...distances.map((row) => row[j])));
  const { meanDistance } = comparison;
  const one = {
    finger: a,
    points: moved,
    others: fixed,
    used: new Set(matches.map(({ i }) => i)),
    nearest: nearestOfA,
  };
  const other = {
    finger: b,
    points: fixed,
    others: moved,
    used: new Set(matches.map(({ j }) => j)),
    nearest: nearestOfB,
  };
  const withinB = weighUnpaired(one, meanDistance, masses);
  const withinA = weighUnpaired(other, meanDistance, masses);
  const overlap = Math.sqrt(Math.max(MIN_OVERLAP, withinB) * Math.max(MIN_OVERLAP, withinA));
  const count = matches.length;
  masses.add('pairs', count);
  masses.add('worth', octaves(whole((64 * sums.worth * sums.worth) / overlap, 1 << 24)));
  masses.add('minutiae', Math.min(a.x.length, b.x.length));
  masses.add('edges', Math.floor((sound * 32) / count));
  masses.add('close', Math.floor((sums.close * 64) / count));
  masses.add('spread', octaves(whole(spreadOf(places) / 16, 1 << 24)));
  masses.add('directions', whole((sums.turned * 128) / count, 127));
  masses.add('types', Math.floor((sums.sameTypes * 64) / count));
  masses.add('bending', whole(alignment.bending * 100, 64));
  return masses.values;
}

function weighPairs(
  { a, b, distances, meanDistance }: Comparison,
  matches: readonly Pair[],
  geometries: readonly Geometry[],
  masses: Masses,
): Sums {
  let [worth, turned, close, sameTypes] = [0, 0, 0, 0];
  matches.forEach(({ i, j }, z) => {
    const { squared, limit, cosine } = geometries[z];
    const place = squared / limit;
    const off = cosine < 1 ? (1 - cosine) / (1 - COS_30) : 0;
    const code = distances[i][j] / meanDistance;
    masses.add('code', whole(code * 64, 127));
    masses.add('place', whole(Math.sqrt(place) * 64, 64));
    masses.add('direction', whole(Math.sqrt(off) * 64, 64));
    if (code < WORTHLESS_DISTANCE) worth += (1 - code / WORTHLESS_DISTANCE) * (1 - place) * (1 - off);
    turned += off;
    if (squared < CLOSE_SQUARED && cosine > CLOSE_COSINE) close++;
    const same = a.type[i] === b.type[j];
    if (same) sameTypes++;
    masses.add('type', a.type[i] === 0 || b.type[j] === 0 ? 0 : same ? 2 : 1);
    const quality = a.quality[i] * b.quality[j];
    masses.add('quality-stated', quality > 0 ? 1 : 0);
    if (quality > 0) masses.add('quality', whole(Math.sqrt(quality), 63));
  });
  return { worth, turned, close, sameTypes };
}

/** Weighs the edges from every pair to its two nearest. @returns the number of sound edges */
function weighEdges(geometries: readonly Geometry[], places: readonly Point[], masses: Masses): number {
  let sound = 0;
  places.forEach((place, z) => {
    const errors = places
      .map(({ x, y }, o) => ({ o, squared: f(f((x - place.x) * (x - place.x)) + f((y - place.y) * (y - place.y))) }))
      .filter(({ o }) => o !== z)
      .sort((p, q) => p.squared - q.squared)
      .slice(0, 2)
      .map(({ o, squared }) => edgeError(geometries[z], geometries[o], squared))
      .sort((p, q) => p - q);
    sound += errors.filter((error) => error < SOUND_EDGE).length;
    masses.add('nearer-edge', errors[0]);
    masses.add('farther-edge', errors[1]);
  });
  return sound;
}

function edgeError(p: Geometry, q: Geometry, lengthSquared: number): number {
  const dx = f(p.residualX - q.residualX);
  const dy = f(p.residualY - q.residualY);
  const error = Math.sqrt(f(f(dx * dx) + f(dy * dy)));
  return whole((32 * error) / (4 + 0.1 * Math.sqrt(lengthSquared)), 64);
}

interface Side {
  readonly finger: Finger;
  readonly points: readonly Point[];
  readonly others: readonly Point[];
  readonly used: ReadonlySet<number>;
  readonly nearest: readonly number[];
}

/** @returns the number of minutiae within the hull of the others */
function weighUnpaired({ finger, points, others, used, nearest }: Side, meanDistance: number, masses: Masses): number {
  const hull = convexHull(others);
  let within = 0;
  points.forEach(({ x, y }, i) => {
    const outside = squaredDistanceOutside(hull, { x, y });
    if (outside <= WITHIN_SQUARED) within++;
    if (outside > NEAR_SQUARED || used.has(i)) return;
    const where = outside > WITHIN_SQUARED ? 2 : outside > 0 ? 1 : 0;
    const quality = finger.quality[i];
    masses.add('unpaired', where * 5 + (quality === 0 ? 0 : 1 + (quality >> 4)));
    const squared = others.map((other) => {
      const [dx, dy] = [f(other.x - x), f(other.y - y)];
      return f(f(dx * dx) + f(dy * dy));
    });
    masses.add('unpaired-nearest', whole(Math.sqrt(Math.min(...squared)), 64));
    masses.add('unpaired-code', whole((nearest[i] * 64) / meanDistance, 127));
    masses.add('unpaired-crowd', squared.filter((value) => value < CROWD_SQUARED).length);
  });
  return within;
}

/** Root of the determinant of the points' covariance, in square pixels. */
function spreadOf(places: readonly Point[]): number {
  let [sx, sy, sxx, sxy, syy] = [0, 0, 0, 0, 0];
  for (const { x, y } of places) {
    sx += x;
    sy += y;
    sxx += x * x;
    sxy += x * y;
    syy += y * y;
  }
  const count = places.length;
  const determinant =
    (count * sxx - sx * sx) * (count * syy - sy * sy) - (count * sxy - sx * sy) * (count * sxy - sx * sy);
  return determinant > 0 ? Math.sqrt(determinant) / (count * count) : 0;
}
