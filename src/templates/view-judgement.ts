/** Checks that the views and minutiae of a record are plausible. Implausible records are accepted with a warning. */
import type { FingerMinutiaeRecord, FingerView } from './finger-minutiae-record.ts';
import type { Notice } from './sample-warnings.ts';

/** View numbers have four bits: the standards allow no more views of one finger. */
const MAX_VIEWS_OF_A_FINGER = 16;
/** Fewer minutiae do not show how positions and angles are distributed. */
const MIN_MINUTIAE_TO_JUDGE = 8;
/** Finest resolution of record-making sensors: 1,000 dpi, in pixels per centimetre, rounded up. */
const MAX_USUAL_RESOLUTION = 400;
/**
 * Side of the square available to each minutia of a print, in centimetres. None of 2,136 prints of FVC2002 and FCJ2020
 * has less than 0.118. With dots per inch in the place of pixels per centimetre, their median is 0.08.
 */
const MIN_ROOM_CM = 0.105;

/**
 * View numbers of a finger start at 0 and rise (ISO/IEC 19794-2:2005 7.4.1.2, ANSI/INCITS 378-2004 6.5.1.2).
 * @param viewsAt - offset of each view
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

/** @param resolutionAt - offset of the horizontal resolution, which the vertical one follows */
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
