import type { SampleFormat } from './sample.ts';

/** Offset of the length in both kinds of record, and of the number of views in ISO/IEC 19794-2:2005. */
const LENGTH_OFFSET = 8;
const ISO_OFFSET = 22;
/** Offset of the number of views in ANSI/INCITS 378-2004 with a two-byte length; four more where that is zero. */
const INCITS_OFFSET = 24;

/**
 * The number of views stated in a sample's header, before any view is read. A record longer than its data counts as one
 * view: it will be rejected, and its field may not be a number of views.
 */
export function statedViews(format: SampleFormat, data: Uint8Array): number {
  if (format !== 'iso-19794-2-2005' && format !== 'incits-378-2004') return 1;
  if (data.length <= INCITS_OFFSET + 4) return 1;
  const header = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const short = format === 'incits-378-2004' ? header.getUint16(LENGTH_OFFSET) : 0;
  const isLong = format === 'incits-378-2004' && short === 0;
  const length = short || header.getUint32(LENGTH_OFFSET + (isLong ? 2 : 0));
  if (length > data.length) return 1;
  return header.getUint8(format === 'iso-19794-2-2005' ? ISO_OFFSET : isLong ? INCITS_OFFSET + 4 : INCITS_OFFSET);
}
