import type { FingerMinutiaeRecord, FingerView, RecordMinutia } from './finger-minutiae-record.ts';
import { MAX_MINUTIAE, type FingerTemplate, type Minutia } from './finger-template.ts';

/**
 * 500 dpi in pixels per centimetre. 500 / 2.54 is 196.85, and records hold whole numbers, so 500 dpi is stated as 197.
 * Treating 197 as exactly 500 dpi keeps the coordinates of such a record unchanged.
 */
const PIXELS_PER_CM = 197;

/**
 * Converts a view to the canonical form: 500 dpi, y upwards, angles in 256ths, no two minutiae at one place, at most
 * MAX_MINUTIAE.
 *
 * y counts upwards from the lowest row of the image; comparison does not depend on the origin. Angles of both formats
 * are counter-clockwise already (ISO/IEC 19794-2:2005 7.4.2.4). If the two resolutions differ, the image is stretched,
 * and directions with it.
 */
export function toFingerTemplate(record: FingerMinutiaeRecord, view: FingerView): FingerTemplate {
  const toCanonical = canonicalise(record);
  const unique = withoutDuplicates(view.minutiae.map(toCanonical));
  return { modality: 'finger', position: view.position, quality: view.quality, minutiae: keepBest(unique) };
}

function canonicalise(record: FingerMinutiaeRecord): (minutia: RecordMinutia) => Minutia {
  const scaleX = PIXELS_PER_CM / record.xResolution;
  const scaleY = PIXELS_PER_CM / record.yResolution;
  return ({ type, x, y, angle, quality }) => ({
    type,
    x: Math.round(x * scaleX),
    y: Math.round((record.imageHeight - 1 - y) * scaleY),
    angle: stretchedAngle(angle, record.angleUnitsPerTurn, scaleX, scaleY),
    quality,
  });
}

function stretchedAngle(angle: number, unitsPerTurn: number, scaleX: number, scaleY: number): number {
  if (scaleX === scaleY) return Math.round((angle * 256) / unitsPerTurn) & 255;
  const radians = (angle * 2 * Math.PI) / unitsPerTurn;
  const stretched = Math.atan2(Math.sin(radians) * scaleY, Math.cos(radians) * scaleX);
  return Math.round((stretched * 256) / (2 * Math.PI)) & 255;
}

/** Keeps the first of several minutiae at one place: extractors report a ridge ending and its noise twin together. */
function withoutDuplicates(minutiae: readonly Minutia[]): Minutia[] {
  const places = new Set<number>();
  return minutiae.filter(({ x, y }) => {
    const place = y * 0x100000 + x;
    if (places.has(place)) return false;
    places.add(place);
    return true;
  });
}

/**
 * The best by quality, in the order of the record. Without stated quality, those nearest to the centre: smudges and
 * false minutiae lie at the rim of a print.
 */
function keepBest(minutiae: readonly Minutia[]): readonly Minutia[] {
  if (minutiae.length <= MAX_MINUTIAE) return minutiae;
  const stated = minutiae.some(({ quality }) => quality > 0);
  const count = minutiae.length;
  const sumX = minutiae.reduce((sum, { x }) => sum + x, 0);
  const sumY = minutiae.reduce((sum, { y }) => sum + y, 0);
  // Distances are scaled by the count instead of dividing the centre by it: integers have no rounding error.
  const spread = ({ x, y }: Minutia) => (x * count - sumX) ** 2 + (y * count - sumY) ** 2;
  const worth = stated ? ({ quality }: Minutia) => -quality : spread;
  const ranked = minutiae.map((minutia, order) => ({ order, worth: worth(minutia) }));
  ranked.sort((a, b) => a.worth - b.worth || a.order - b.order);
  const kept = new Set(ranked.slice(0, MAX_MINUTIAE).map(({ order }) => order));
  return minutiae.filter((_, order) => kept.has(order));
}
