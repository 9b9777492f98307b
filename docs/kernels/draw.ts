/**
 * Draws the pictures of docs/kernels.md, from a finger that does not exist.
 *
 *   node docs/kernels/draw.ts
 *
 * A test draws them again and compares.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FINGER_PACKED_MAX_BYTES } from '../../src/matching/model/packed-layout.ts';
import { SEGMENT_CAPACITY, gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import { HEADER_BYTES, STATIC_BYTES, layoutSegment, SCRATCH_SLOTS } from '../../src/gallery/segment-layout.ts';
import type { Finger } from '../../src/matching/oracle/finger.ts';
import type { Point } from '../../src/matching/oracle/finger-encoding.ts';
import { compareForPictures, directedOf, type DrawnComparison, type Step } from './comparison.ts';
import { at, box, circle, COLOURS, line, minutia, picture, placing, text, type Placing } from './svg.ts';

const PANEL = { y: 34, width: 420, height: 440 };
const [LEFT, RIGHT] = [20, 460].map((x) => ({ ...PANEL, x }));
const WIDTH = 900;
const HEIGHT = 490;

/** Both prints side by side, at one scale. */
function sides({ a, b }: DrawnComparison): {
  readonly left: Placing;
  readonly right: Placing;
  readonly frames: string[];
} {
  const [first, second] = [directedOf(a), directedOf(b)];
  const scale = Math.min(...[first, second].map((points) => scaleOf(points, PANEL.width - 50, PANEL.height - 50)));
  return {
    left: placing(first, LEFT, scale),
    right: placing(second, RIGHT, scale),
    frames: [
      text(LEFT.x, 22, `First: ${first.length} minutiae`, 'font-weight="600"'),
      text(RIGHT.x, 22, `Second: ${second.length} minutiae`, 'font-weight="600"'),
      ...[LEFT, RIGHT].map(({ x, y, width, height }) =>
        box(x, y, width, height, `fill="none" stroke="${COLOURS.frame}"`),
      ),
    ],
  };
}

function scaleOf(points: readonly Point[], width: number, height: number): number {
  const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)];
  return Math.min(width / (Math.max(...xs) - Math.min(...xs)), height / (Math.max(...ys) - Math.min(...ys)));
}

function ticks(finger: Finger, place: Placing, colourOf: (i: number) => string): string[] {
  return directedOf(finger).map((one, i) => minutia({ ...one, type: finger.type[i] }, place, colourOf(i)));
}

function drawMinutiae(comparison: DrawnComparison): string {
  const { left, right, frames } = sides(comparison);
  return picture(WIDTH, HEIGHT, 'Two captures of one synthetic finger as minutiae', [
    ...frames,
    ...ticks(comparison.a, left, () => COLOURS.probe),
    ...ticks(comparison.b, right, () => COLOURS.reference),
  ]);
}

const [RADIUS, CELL, SIDE, CELLS, DIRECTIONS, CODE_BITS] = [70, 17.5, 8, 64, 6, 128];

/** The pair of the comparison whose neighbourhoods are drawn: the last step's match with the smallest code distance. */
function drawnPair({ last, distances }: DrawnComparison) {
  return [...last.matches].sort((p, q) => distances[p.i][p.j] - distances[q.i][q.j])[0];
}

function drawCylinder(comparison: DrawnComparison): string {
  const { i, j } = drawnPair(comparison);
  const rows = [
    { finger: comparison.a, index: i, colour: COLOURS.probe, y: 30, words: `Minutia ${i} of the first` },
    { finger: comparison.b, index: j, colour: COLOURS.reference, y: 250, words: `Minutia ${j} of the second` },
  ];
  const codes = [comparison.a.codes[i], comparison.b.codes[j]];
  const parts = rows.flatMap((row, k) => neighbourhood(comparison, row, codes[k], codes[1 - k]));
  const legend = `The codes differ in ${comparison.distances[i][j]} of ${CODE_BITS} bits: outlined below each.`;
  return picture(WIDTH, 480, 'The neighbourhood of a minutia, its cylinder and its code', [
    ...parts,
    text(20, 472, legend),
  ]);
}

interface Row {
  readonly finger: Finger;
  readonly index: number;
  readonly colour: string;
  readonly y: number;
  readonly words: string;
}

function neighbourhood(
  comparison: DrawnComparison,
  { finger, index, colour, y, words }: Row,
  code: Uint8Array,
  other: Uint8Array,
): string[] {
  const all = directedOf(finger);
  const middle = all[index];
  const turn = (middle.angle * 2 * Math.PI) / 256;
  const [c, s] = [Math.cos(turn), Math.sin(turn)];
  // In the minutia's own frame: it points to the right.
  const own = all.map((one) => {
    const [dx, dy] = [one.x - middle.x, one.y - middle.y];
    return { x: c * dx + s * dy, y: c * dy - s * dx, angle: (one.angle - middle.angle) & 255 };
  });
  const centre = { x: 20 + 86, y: y + 10 + 86 };
  const place: Placing = Object.assign(({ x, y: up }: Point) => ({ x: centre.x + 1.2 * x, y: centre.y - 1.2 * up }), {
    scale: 1.2,
  });
  const near = own
    .map((one, k) => ({ ...one, type: finger.type[k] }))
    .filter(({ x, y: up }) => x * x + up * up <= RADIUS * RADIUS);
  const roots = comparison.rootsOf(finger, index);
  const largest = Math.max(...roots);
  return [
    text(20, y - 8, words, 'font-weight="600"'),
    circle(centre, 1.2 * RADIUS, `fill="none" stroke="${COLOURS.frame}"`),
    ...near.map((one) => minutia(one, place, one.x === 0 && one.y === 0 ? COLOURS.text : colour)),
    ...Array.from({ length: DIRECTIONS }, (_, k) =>
      layer(roots, k, largest, colour, { x: 215 + 112 * k, y: y + 4 }),
    ).flat(),
    ...bits(code, other, colour, { x: 215, y: y + 128 }),
  ];
}

/** One direction of a cylinder: what lies in each place, darker where there is more. */
function layer(roots: Int16Array, k: number, largest: number, colour: string, corner: Point): string[] {
  const size = 13;
  const cells: string[] = [];
  for (let place = 0; place < CELLS; place++) {
    const [u, v] = [Math.floor(place / SIDE), place % SIDE];
    const middleOf = (n: number) => (n + 0.5) * CELL - RADIUS;
    if (middleOf(u) ** 2 + middleOf(v) ** 2 > RADIUS * RADIUS) continue;
    const share = roots[k * CELLS + place] / largest;
    cells.push(box(corner.x + u * size, corner.y + (SIDE - 1 - v) * size, size, size, `fill-opacity="${at(share)}"`));
  }
  return [
    `<g fill="${colour}" stroke="${COLOURS.frame}" stroke-width="0.5">`,
    ...cells,
    '</g>',
    text(
      corner.x + 8,
      corner.y + 118,
      `${degrees(60 * k - 180)} to ${degrees(60 * k - 120)}`,
      `font-size="11" fill="${COLOURS.quiet}"`,
    ),
  ];
}

function degrees(value: number): string {
  return `${value < 0 ? '−' : ''}${Math.abs(value)}°`;
}

function bits(code: Uint8Array, other: Uint8Array, colour: string, corner: Point): string[] {
  const [across, size] = [64, 10.4];
  return Array.from({ length: CODE_BITS }, (_, bit) => {
    const isSet = (bytes: Uint8Array) => ((bytes[bit >> 3] >> (bit & 7)) & 1) === 1;
    const [x, y] = [corner.x + (bit % across) * size, corner.y + Math.floor(bit / across) * (size + 6)];
    const mark = isSet(code) === isSet(other) ? '' : box(x, y + size, size - 1, 3, `fill="${COLOURS.wrong}"`);
    return (
      box(
        x,
        y,
        size - 1,
        size - 1,
        `fill="${isSet(code) ? colour : '#ffffff'}" stroke="${COLOURS.frame}" stroke-width="0.5"`,
      ) + mark
    );
  });
}

/** Whether a pair is one that the comparison ended with. */
function isMatch({ last }: DrawnComparison, pair: { readonly i: number; readonly j: number }): boolean {
  return last.matches.some(({ i, j }) => i === pair.i && j === pair.j);
}

function drawShortlist(comparison: DrawnComparison): string {
  const { left, right, frames } = sides(comparison);
  const { pairs } = comparison;
  const right32 = pairs.filter((pair) => isMatch(comparison, pair)).length;
  return picture(WIDTH, HEIGHT + 22, 'The pairs of minutiae whose codes are most alike', [
    ...frames,
    ...pairs.map((pair) =>
      line(
        left({ x: pair.ax, y: pair.ay }),
        right({ x: pair.bx, y: pair.by }),
        isMatch(comparison, pair) ? COLOURS.pair : COLOURS.wrong,
        1.2,
        0.7,
      ),
    ),
    ...ticks(comparison.a, left, () => COLOURS.probe),
    ...ticks(comparison.b, right, () => COLOURS.reference),
    text(
      20,
      HEIGHT + 8,
      `${pairs.length} pairs. Green: the ${right32} that are still pairs in the end. Red: the others.`,
    ),
  ]);
}

function drawConsensus(comparison: DrawnComparison): string {
  const { left, right, frames } = sides(comparison);
  const { pairs, cluster } = comparison;
  const inCluster = new Set(cluster.map(({ i, j }) => `${i} ${j}`));
  return picture(WIDTH, HEIGHT + 22, 'The pairs by how much others agree with them', [
    ...frames,
    ...pairs.map((pair) =>
      line(
        left({ x: pair.ax, y: pair.ay }),
        right({ x: pair.bx, y: pair.by }),
        inCluster.has(`${pair.i} ${pair.j}`) ? COLOURS.pair : COLOURS.quiet,
        0.4 + 2.6 * pair.strength,
        0.25 + 0.6 * pair.strength,
      ),
    ),
    ...ticks(comparison.a, left, () => COLOURS.probe),
    ...ticks(comparison.b, right, () => COLOURS.reference),
    text(20, HEIGHT + 8, `Thickness: strength. Green: the cluster of ${cluster.length} pairs around the strongest.`),
  ]);
}

function drawAlignment(comparison: DrawnComparison): string {
  const { a, b, first, last, limits } = comparison;
  const points = [...directedOf(b), ...movedBy(a, last), ...movedBy(a, first)];
  const scale = scaleOf(points, PANEL.width - 50, PANEL.height - 50);
  const panel = (corner: typeof LEFT, step: Step, words: string) => {
    const place = placing(points, corner, scale);
    const moved = movedBy(a, step);
    const [usedA, usedB] = [new Set(step.matches.map(({ i }) => i)), new Set(step.matches.map(({ j }) => j))];
    return [
      text(corner.x, 22, words, 'font-weight="600"'),
      box(corner.x, corner.y, corner.width, corner.height, `fill="none" stroke="${COLOURS.frame}"`),
      ...(step === last
        ? step.matches.map(({ i }, z) =>
            circle(
              place(moved[i]),
              scale * Math.sqrt(limits[z]),
              `fill="${COLOURS.pair}" fill-opacity="0.08" stroke="none"`,
            ),
          )
        : []),
      ...step.matches.map(({ i, j }) => line(place(moved[i]), place({ x: b.x[j], y: b.y[j] }), COLOURS.pair, 1.6)),
      ...directedOf(b).map((one, j) =>
        minutia({ ...one, type: b.type[j] }, place, usedB.has(j) ? COLOURS.reference : COLOURS.quiet),
      ),
      ...moved.map((one, i) =>
        minutia({ ...one, type: a.type[i] }, place, usedA.has(i) ? COLOURS.probe : COLOURS.quiet),
      ),
    ];
  };
  return picture(WIDTH, HEIGHT + 22, 'The first print laid over the second', [
    ...panel(LEFT, first, `By the cluster: ${first.matches.length} pairs`),
    ...panel(RIGHT, last, `After two more fits: ${last.matches.length} pairs`),
    text(20, HEIGHT + 8, 'Blue: first, moved. Orange: second. Grey: without a mate. Shaded: how far a mate may be.'),
  ]);
}

function movedBy({ x, y, angle }: Finger, { alignment }: Step) {
  const turn = Math.round((Math.atan2(alignment.s, alignment.c) * 256) / (2 * Math.PI));
  return x.map((value, i) => ({ ...alignment.move(value, y[i]), angle: (angle[i] + turn) & 255 }));
}

function drawScore({ terms, score }: DrawnComparison): string {
  const [top, row, zero] = [48, 20, 470];
  const widest = Math.max(...terms.map(({ points }) => Math.abs(points)));
  const scale = 280 / widest;
  const rows = terms.flatMap(({ name, points }, t) => {
    const y = top + t * row;
    const width = Math.abs(points) * scale;
    const words = points < 0 ? `−${(-points).toFixed(0)}` : points.toFixed(0);
    return [
      text(20, y + 12, name),
      box(
        points < 0 ? zero - width : zero,
        y + 2,
        width,
        row - 6,
        `fill="${points < 0 ? COLOURS.wrong : COLOURS.pair}"`,
      ),
      text(
        points < 0 ? zero - width - 6 : zero + width + 6,
        y + 12,
        words.replace('−0', '0'),
        `font-size="11"${points < 0 ? ' text-anchor="end"' : ''}`,
      ),
    ];
  });
  const bottom = top + terms.length * row;
  return picture(WIDTH, bottom + 40, 'The points of each term of the score', [
    text(20, 26, 'Points of each term', 'font-weight="600"'),
    line({ x: zero, y: top - 6 }, { x: zero, y: bottom }, COLOURS.quiet),
    ...rows,
    text(20, bottom + 24, `Score: ${score}`, 'font-weight="600"'),
  ]);
}

/** A segment of fingers as the service lays it out. */
function drawSegment(): string {
  const { scratchBytes, vectorBytes, codeBytes = 0, maxRecordBytes } = gallerySizing(SEGMENT_CAPACITY).finger;
  const layout = layoutSegment(SEGMENT_CAPACITY, scratchBytes, vectorBytes, codeBytes);
  const parts = [
    { from: 0, name: 'constant tables', what: `${STATIC_BYTES} bytes; the same in every segment` },
    { from: layout.headerAddress, name: 'header', what: `${HEADER_BYTES} bytes; four words are used` },
    {
      from: layout.scratchAddress,
      name: 'scratch',
      what: `${SCRATCH_SLOTS} threads × ${layout.scratchBytes} bytes: probe, steps of a comparison, scores`,
    },
    {
      from: layout.directoryAddress,
      name: 'directory',
      what: `${SEGMENT_CAPACITY} × 4 bytes: where record i lies; 0: removed`,
    },
    { from: layout.ownersAddress, name: 'owners', what: `${SEGMENT_CAPACITY} × 4 bytes: whose reference i is` },
    {
      from: layout.vectorsAddress,
      name: 'candidate vectors',
      what: `${SEGMENT_CAPACITY} × ${vectorBytes} bytes, read where codes are similar`,
    },
    {
      from: layout.codesAddress,
      name: 'codes',
      what: `blocks of 32 × ${codeBytes + 1} bytes, read from front to back`,
    },
    {
      from: layout.recordsAddress,
      name: 'records',
      what: `packed fingers of up to ${FINGER_PACKED_MAX_BYTES} bytes, one behind the other; grows`,
    },
  ];
  if (maxRecordBytes !== FINGER_PACKED_MAX_BYTES) throw new Error('the picture of a segment is of another record');
  const [top, row] = [48, 44];
  return picture(WIDTH, top + parts.length * row + 20, 'The memory of a segment', [
    text(20, 26, `A segment of fingers: ${SEGMENT_CAPACITY} references at most`, 'font-weight="600"'),
    ...parts.flatMap(({ from, name, what }, i) => {
      const y = top + i * row;
      const shade = ['#e5e7eb', '#e5e7eb', '#fee2e2', '#dbeafe', '#dbeafe', '#ccfbf1', '#fef3c7'][i] ?? '#ffffff';
      return [
        box(130, y, 190, row, `fill="${shade}" stroke="${COLOURS.quiet}"`),
        text(
          120,
          y + 14,
          `0x${from.toString(16).padStart(8, '0')}`,
          `text-anchor="end" font-family="monospace" font-size="12"`,
        ),
        text(142, y + row / 2 + 5, name, 'font-weight="600"'),
        text(336, y + row / 2 + 5, what),
      ];
    }),
    `<path d="M${at(225)} ${at(top + parts.length * row)}v12m-5 -5l5 5l5 -5" fill="none" stroke="${COLOURS.text}" stroke-width="1.5"/>`,
  ]);
}

/** Every picture by its file's name. */
export function drawPictures(): ReadonlyMap<string, string> {
  const comparison = compareForPictures();
  return new Map([
    ['minutiae.svg', drawMinutiae(comparison)],
    ['cylinder.svg', drawCylinder(comparison)],
    ['shortlist.svg', drawShortlist(comparison)],
    ['consensus.svg', drawConsensus(comparison)],
    ['alignment.svg', drawAlignment(comparison)],
    ['score.svg', drawScore(comparison)],
    ['segment.svg', drawSegment()],
  ]);
}

if (import.meta.main) {
  for (const [name, drawing] of drawPictures()) writeFileSync(join(import.meta.dirname, name), drawing);
}
