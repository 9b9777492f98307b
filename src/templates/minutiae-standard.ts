/** Distinguishes ISO and INCITS records, which begin with the same bytes, by their headers. */
import { FORMAT_IDENTIFIER } from './iso-19794-2-2005.ts';

export type MinutiaeStandard = 'iso-19794-2-2005' | 'incits-378-2004';

/** Field offsets in a standard's header. */
interface Layout {
  readonly standard: MinutiaeStandard;
  readonly length: { readonly at: number; readonly bytes: 2 | 4 };
  /** Capture equipment; sizes, resolutions, views, a reserved byte and the first view follow. */
  readonly body: number;
}

const LAYOUTS: readonly Layout[] = [
  { standard: 'iso-19794-2-2005', length: { at: 8, bytes: 4 }, body: 12 },
  { standard: 'incits-378-2004', length: { at: 8, bytes: 2 }, body: 14 },
  { standard: 'incits-378-2004', length: { at: 10, bytes: 4 }, body: 18 },
];
/** A header and a view without minutiae; also the maximum read. */
const MIN_RECORD_BYTES = 30;
const MAX_RECORD_BYTES = 65_536;

/**
 * The standard of a record, by how well its header fits each layout. No field decides alone: a faulty record is still
 * recognised.
 * @returns undefined for data that are no finger minutiae record, or an ambiguous header
 */
export function standardOf(data: Uint8Array): MinutiaeStandard | undefined {
  if (data.length < 8) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (view.getUint32(0) !== FORMAT_IDENTIFIER) return undefined;
  const judged = LAYOUTS.map((layout) => ({ standard: layout.standard, points: pointsOf(layout, view) }));
  const best = Math.max(...judged.map(({ points }) => points));
  const standards = new Set(judged.filter(({ points }) => points === best).map(({ standard }) => standard));
  return standards.size === 1 ? [...standards][0] : undefined;
}

/** How well a header fits this layout. Missing bytes earn no points. */
function pointsOf({ length, body }: Layout, view: DataView): number {
  const u8 = (at: number) => (at < view.byteLength ? view.getUint8(at) : NaN);
  const u16 = (at: number) => u8(at) * 0x100 + u8(at + 1);
  const stated = length.bytes === 2 ? u16(length.at) : u16(length.at) * 0x10000 + u16(length.at + 2);
  const within = (value: number, least: number, most: number) => value >= least && value <= most;
  const [width, height] = [u16(body + 2), u16(body + 4)];
  const [xResolution, yResolution] = [u16(body + 6), u16(body + 8)];
  const signs = [
    stated === view.byteLength || stated === view.byteLength - 1,
    within(stated, MIN_RECORD_BYTES, MAX_RECORD_BYTES),
    within(width, 50, 4000),
    within(height, 50, 4000),
    within(xResolution, 70, 1100),
    within(yResolution, 70, 1100),
    xResolution === yResolution,
    within(u8(body + 10), 1, 32),
    u8(body + 11) === 0,
    u8(body + 12) <= 10,
    u8(body + 14) <= 100 || u8(body + 14) >= 254,
  ];
  return signs.filter(Boolean).length;
}
