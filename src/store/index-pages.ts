/** Parses pages of B-tree indexes and of tables in PostgreSQL's layout. */

/** Bytes before the item pointers of a page. */
const HEADER = 24;
/** Flags of index pages: a leaf page holds entries, unless one of NO_ENTRIES is set. */
const LEAF = 1;
const NO_ENTRIES = 4 | 8 | 16;
/** Bits of an index entry: of its information field, and of the row number of its place. */
const HAS_NULLS = 0x80_00;
const IS_OTHER = 0x20_00;
const IS_POSTING = 0x20_00;
const POSTING_COUNT = 0x0f_ff;
const INFORMATION_LENGTH = 8;
const PLACE_LENGTH = 6;

/** A row's place: its block, and its number within the block, from 1. */
export interface Place {
  readonly block: number;
  readonly row: number;
}

/** Calls back for every entry of a leaf page. It never reads beyond a damaged page, and skips implausible pointers. */
export function forEachEntry(page: Buffer, take: (place: Place, key: () => Buffer) => void): void {
  const special = page.readUInt16LE(16);
  // A page of zeros, or a page of another kind.
  if (page.readUInt16LE(14) === 0 || special === 0 || special + 16 > page.length) return;
  const flags = page.readUInt16LE(special + 12);
  if ((flags & LEAF) === 0 || (flags & NO_ENTRIES) !== 0) return;
  const isRightmost = page.readUInt32LE(special + 4) === 0;
  const end = Math.min(page.readUInt16LE(12), special);
  // On every page but the last, the first item is not an entry but the bound to the next page.
  for (let at = HEADER + (isRightmost ? 0 : 4); at + 4 <= end; at += 4) {
    const pointer = page.readUInt32LE(at);
    const [from, length] = [pointer & 0x7f_ff, pointer >>> 17];
    if (length < INFORMATION_LENGTH || from + length > special) continue;
    const item = page.subarray(from, from + length);
    const information = item.readUInt16LE(6);
    const key = () => item.subarray(INFORMATION_LENGTH + ((information & HAS_NULLS) === 0 ? 0 : INFORMATION_LENGTH));
    const number = item.readUInt16LE(4);
    if ((information & IS_OTHER) === 0 || (number & IS_POSTING) === 0) {
      take(placeAt(item, 0), key);
      continue;
    }
    // Rows with the same key share one entry, with a list of their places.
    const start = (item.readUInt16LE(0) << 16) | item.readUInt16LE(2);
    for (let i = 0; i < (number & POSTING_COUNT); i++) {
      const one = start + i * PLACE_LENGTH;
      if (one + PLACE_LENGTH > item.length) break;
      take(placeAt(item, one), key);
    }
  }
}

function placeAt(bytes: Buffer, at: number): Place {
  return { block: bytes.readUInt16LE(at) * 0x1_00_00 + bytes.readUInt16LE(at + 2), row: bytes.readUInt16LE(at + 4) };
}

/** Whether a place of a table's block holds or held a row. @param head - the block up to its last pointer */
export function hasRow(head: Buffer, row: number): boolean {
  const at = HEADER + (row - 1) * 4;
  // The pointer's second field; 0: never used, or free again, and then no index has an entry for it.
  return at + 4 <= head.length && ((head.readUInt32LE(at) >>> 15) & 3) !== 0;
}
