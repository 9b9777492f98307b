/** What the views of a record say about each other, and their minutiae about the record: read all the same, but told. */
import type { FingerMinutiaeRecord, FingerView } from './finger-minutiae-record.ts';
import type { Notice } from './sample-warnings.ts';

/** View numbers have four bits, so the standards know of no more views of one finger. */
const MAX_VIEWS_OF_A_FINGER = 16;
/** Fewer minutiae say nothing of how they lie, nor of their angles. */
const MIN_MINUTIAE_TO_JUDGE = 8;
/** No sensor that makes records is finer than 1,000 dpi, in pixels per centimetre and rounded up. */
const MAX_USUAL_RESOLUTION = 400;
/**
 * Side of the square that one minutia of a print has to itself, in centimetres. Of 2,136 prints of FVC2002 and FCJ2020
 * none has less than 0.118; the same with dots per inch in the place of pixels per centimetre have 0.08 in the middle.
 */
const MIN_ROOM_CM = 0.105;

/**
 * Numbers of a finger's views begin with 0 and rise (ISO/IEC 19794-2:2005 7.4.1.2, ANSI/INCITS 378-2004 6.5.1.2).
 * @param viewsAt - where each view begins
 */
export function judgeViewNumbers(views: readonly FingerView[], viewsAt: readonly number[], notice: Notice): void {
  const seen = new Map<number, FingerView[]>();
  views.forEach((view, i) => {
    const at = (viewsAt[i] ?? 0) + 1;
    const before = seen.get(view.position) ?? [];
    if (before.length === MAX_VIEWS_OF_A_FINGER) notice('TOO_MANY_VIEWS', at - 1, i);
    const last = before.at(-1);
    if (before.some((other) => other.viewNumber === view.viewNumber || haveSameMinutiae(other, view))) {
      notice('VIEW_REPEATED', at, i);
    } else if (last === undefined ? view.viewNumber !== 0 : view.viewNumber < last.viewNumber) {
      notice('VIEW_NUMBER_INVALID', at, i);
    }
    seen.set(view.position, [...before, view]);
  });
}

function haveSameMinutiae({ minutiae: some }: FingerView, { minutiae: others }: FingerView): boolean {
  if (some.length === 0 || some.length !== others.length) return false;
  return some.every(({ x, y, angle, type }, i) => {
    const other = others[i];
    return x === other?.x && y === other.y && angle === other.angle && type === other.type;
  });
}

/** @param resolutionAt - where the horizontal resolution stands, the vertical one behind it */
export function judgeViews(
  record: FingerMinutiaeRecord,
  viewsAt: readonly number[],
  resolutionAt: number,
  notice: Notice,
): void {
  const { xResolution, yResolution } = record;
  record.views.forEach(({ minutiae }, i) => {
    if (minutiae.length < MIN_MINUTIAE_TO_JUDGE) return;
    const [first] = minutiae;
    if (minutiae.every(({ angle }) => angle === first?.angle)) notice('ANGLES_ALIKE', viewsAt[i] ?? 0, i);
    if (Math.max(xResolution, yResolution) <= MAX_USUAL_RESOLUTION) return;
    const width = extent(minutiae.map(({ x }) => x)) / xResolution;
    const height = extent(minutiae.map(({ y }) => y)) / yResolution;
    if (Math.sqrt((width * height) / minutiae.length) >= MIN_ROOM_CM) return;
    notice('RESOLUTION_IMPLAUSIBLE', resolutionAt + (xResolution > MAX_USUAL_RESOLUTION ? 0 : 2), i);
  });
}

function extent(values: readonly number[]): number {
  return Math.max(...values) - Math.min(...values);
}
