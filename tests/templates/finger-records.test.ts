import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPerson } from '../../fixtures/person.ts';
import type { FingerMinutiaeRecord } from '../../src/templates/finger-minutiae-record.ts';
import { decodeIncits378 } from '../../src/templates/incits-378-2004.ts';
import { decodeIso197942, encodeIso197942 } from '../../src/templates/iso-19794-2-2005.ts';
import { TemplateError } from '../../src/templates/template-error.ts';
import { isoFiles, sharedData } from '../shared-data.ts';

const minutia = fc.record({
  type: fc.constantFrom(0, 1, 2),
  x: fc.integer({ min: 0, max: 299 }),
  y: fc.integer({ min: 0, max: 399 }),
  angle: fc.integer({ min: 0, max: 255 }),
  quality: fc.integer({ min: 0, max: 100 }),
});
const view = fc.record({
  position: fc.integer({ min: 0, max: 10 }),
  viewNumber: fc.integer({ min: 0, max: 15 }),
  impressionType: fc.constantFrom(0, 1, 2, 3, 8),
  quality: fc.integer({ min: 0, max: 100 }),
  minutiae: fc.array(minutia, { maxLength: 255, size: 'medium' }),
  extendedData: fc.array(
    fc.record({ type: fc.integer({ min: 0, max: 0xffff }), data: fc.uint8Array({ maxLength: 20 }) }),
    { maxLength: 3 },
  ),
});
const anyRecord = fc.record({
  captureEquipment: fc.integer({ min: 0, max: 0xffff }),
  imageWidth: fc.constant(300),
  imageHeight: fc.constant(400),
  xResolution: fc.integer({ min: 50, max: 800 }),
  yResolution: fc.integer({ min: 50, max: 800 }),
  angleUnitsPerTurn: fc.constant(256),
  views: fc.array(view, { minLength: 1, maxLength: 4 }),
}) as fc.Arbitrary<FingerMinutiaeRecord>;

/** A record of two views: 3 minutiae and none; the second has an extended data area. */
const base: FingerMinutiaeRecord = {
  captureEquipment: 0,
  imageWidth: 300,
  imageHeight: 400,
  xResolution: 197,
  yResolution: 197,
  angleUnitsPerTurn: 256,
  views: [
    {
      position: 2,
      viewNumber: 0,
      impressionType: 0,
      quality: 60,
      minutiae: [1, 2, 3].map((n) => ({ type: 1, x: 10 * n, y: 20 * n, angle: 30 * n, quality: 50 })),
      extendedData: [],
    },
    {
      position: 7,
      viewNumber: 0,
      impressionType: 0,
      quality: 70,
      minutiae: [],
      extendedData: [{ type: 0x101, data: Uint8Array.of(1, 2, 3) }],
    },
  ],
};
const FIRST_VIEW = 24;
const FIRST_MINUTIA = FIRST_VIEW + 4;
const SECOND_VIEW = FIRST_MINUTIA + 18 + 2;
const EXTENDED = SECOND_VIEW + 4;
const FIRST_AREA = EXTENDED + 2;

function refusal(bytes: Uint8Array, decode = decodeIso197942): { reason: string; offset: number } {
  try {
    decode(bytes);
  } catch (error) {
    if (error instanceof TemplateError) return { reason: error.reason, offset: error.offset };
    throw error;
  }
  throw new Error('the record was not refused');
}

function changed(change: (bytes: Uint8Array, view: DataView) => void): Uint8Array {
  const bytes = encodeIso197942(base);
  change(bytes, new DataView(bytes.buffer));
  return bytes;
}

/** The notices of a codec about a record that it reads, with their offsets. */
function noticed(bytes: Uint8Array, decode = decodeIso197942): [string, number][] {
  const found: [string, number][] = [];
  decode(bytes, (code, offset) => void found.push([code, offset]));
  return found;
}

describe('an ISO/IEC 19794-2:2005 record', () => {
  it('is read back as written', () => {
    fc.assert(
      fc.property(anyRecord, (record) => void expect(decodeIso197942(encodeIso197942(record))).toEqual(record)),
      { numRuns: 60 },
    );
  });

  it.each([
    ['NOT_A_MINUTIAE_RECORD', 0, changed((b) => (b[0] = 0x47))],
    ['VERSION_UNSUPPORTED', 4, changed((b) => (b[5] = 0x33))],
    ['LENGTH_MISMATCH', 8, changed((_, v) => v.setUint32(8, v.byteLength + 1))],
    ['LENGTH_MISMATCH', 8, changed((_, v) => v.setUint32(8, v.byteLength - 2))],
    ['LENGTH_MISMATCH', 8, changed((_, v) => v.setUint32(8, 0))],
    ['IMAGE_SIZE_INVALID', 14, changed((_, v) => v.setUint16(14, 0))],
    ['IMAGE_SIZE_INVALID', 16, changed((_, v) => v.setUint16(16, 0))],
    ['RESOLUTION_INVALID', 18, changed((_, v) => v.setUint16(18, 0))],
    ['RESOLUTION_INVALID', 20, changed((_, v) => v.setUint16(20, 0))],
    ['IMAGE_TOO_LARGE', 18, changed((_, v) => v.setUint16(18, 1))],
    ['IMAGE_TOO_LARGE', 20, changed((_, v) => v.setUint16(20, 9))],
    ['NO_VIEWS', 22, changed((b) => (b[22] = 0))],
    ['RESERVED_NOT_ZERO', 23, changed((b) => (b[23] = 1))],
    ['FINGER_POSITION_INVALID', FIRST_VIEW, changed((b) => (b[FIRST_VIEW] = 11))],
    ['IMPRESSION_TYPE_INVALID', FIRST_VIEW + 1, changed((b) => (b[FIRST_VIEW + 1] = 5))],
    ['QUALITY_INVALID', FIRST_VIEW + 2, changed((b) => (b[FIRST_VIEW + 2] = 101))],
    ['MINUTIA_TYPE_INVALID', FIRST_MINUTIA, changed((_, v) => v.setUint16(FIRST_MINUTIA, 0xc000 | 10))],
    ['MINUTIA_OUTSIDE_IMAGE', FIRST_MINUTIA, changed((_, v) => v.setUint16(FIRST_MINUTIA, 0x4000 | 301))],
    ['RESERVED_NOT_ZERO', FIRST_MINUTIA + 2, changed((_, v) => v.setUint16(FIRST_MINUTIA + 2, 0x8000 | 20))],
    ['MINUTIA_OUTSIDE_IMAGE', FIRST_MINUTIA + 2, changed((_, v) => v.setUint16(FIRST_MINUTIA + 2, 401))],
    ['QUALITY_INVALID', FIRST_MINUTIA + 5, changed((b) => (b[FIRST_MINUTIA + 5] = 255))],
    ['QUALITY_INVALID', FIRST_VIEW + 2, changed((b) => (b[FIRST_VIEW + 2] = 253))],
    ['TRAILING_BYTES', encodeIso197942(base).length, Uint8Array.of(...encodeIso197942(base), 1)],
    ['TRAILING_BYTES', encodeIso197942(base).length, Uint8Array.of(...encodeIso197942(base), 0, 0, 7)],
    ['LENGTH_MISMATCH', 8, Uint8Array.of(...changed((_, v) => v.setUint32(8, v.byteLength + 1)), 0, 0)],
    ['TRUNCATED', 0, new Uint8Array(0)],
  ])('is rejected with %s at byte %i', (reason, offset, bytes) => {
    expect(refusal(bytes)).toEqual({ reason, offset });
  });

  it('is rejected when truncated anywhere', () => {
    const bytes = encodeIso197942(base);
    for (let length = 0; length < bytes.length; length++) {
      expect(refusal(bytes.subarray(0, length))).toEqual({ reason: 'TRUNCATED', offset: length });
    }
  });

  it('may state a length one short only with extended data', () => {
    const bytes = changed((_, v) => v.setUint32(8, v.byteLength - 1));
    expect(decodeIso197942(bytes)).toEqual(base);
    const plain = encodeIso197942({ ...base, views: base.views.slice(0, 1) });
    new DataView(plain.buffer).setUint32(8, plain.length - 1);
    expect(refusal(plain)).toEqual({ reason: 'LENGTH_MISMATCH', offset: 8 });
  });

  it.each([
    ['COUNTED_FROM_ONE', FIRST_MINUTIA, changed((_, v) => v.setUint16(FIRST_MINUTIA, 0x4000 | 300))],
    ['COUNTED_FROM_ONE', FIRST_MINUTIA + 2, changed((_, v) => v.setUint16(FIRST_MINUTIA + 2, 400))],
    ['QUALITY_NOT_STATED', FIRST_VIEW + 2, changed((b) => (b[FIRST_VIEW + 2] = 254))],
    ['QUALITY_NOT_STATED', FIRST_VIEW + 2, changed((b) => (b[FIRST_VIEW + 2] = 255))],
    ['PADDED', encodeIso197942(base).length, Uint8Array.of(...encodeIso197942(base), 0)],
    [
      'PADDED',
      encodeIso197942(base).length,
      Uint8Array.of(...encodeIso197942(base), ...new Array<number>(900).fill(0)),
    ],
    // The length field may count the padding.
    [
      'PADDED',
      encodeIso197942(base).length,
      Uint8Array.of(...changed((_, v) => v.setUint32(8, v.byteLength + 9)), ...new Array<number>(9).fill(0)),
    ],
    // An area's length: too small, too large, without its own header.
    ['EXTENDED_DATA_INVALID', FIRST_AREA, changed((_, v) => v.setUint16(FIRST_AREA + 2, 0))],
    ['EXTENDED_DATA_INVALID', FIRST_AREA, changed((_, v) => v.setUint16(FIRST_AREA + 2, 3))],
    ['EXTENDED_DATA_INVALID', FIRST_AREA, changed((_, v) => v.setUint16(FIRST_AREA + 2, 4))],
    ['EXTENDED_DATA_INVALID', FIRST_AREA, changed((_, v) => v.setUint16(FIRST_AREA + 2, 6))],
    ['EXTENDED_DATA_INVALID', FIRST_AREA, changed((_, v) => v.setUint16(FIRST_AREA + 2, 8))],
    ['EXTENDED_DATA_INVALID', FIRST_AREA, changed((_, v) => v.setUint16(FIRST_AREA + 2, 0xffff))],
    // The block's length: without the area's header, with its own, zero, more than exists.
    ['EXTENDED_DATA_INVALID', EXTENDED, changed((_, v) => v.setUint16(EXTENDED, 5))],
    ['EXTENDED_DATA_INVALID', EXTENDED, changed((_, v) => v.setUint16(EXTENDED, 9))],
    ['EXTENDED_DATA_INVALID', EXTENDED, changed((_, v) => v.setUint16(EXTENDED, 0))],
    ['EXTENDED_DATA_INVALID', EXTENDED, changed((_, v) => v.setUint16(EXTENDED, 0xffff))],
    ['EXTENDED_DATA_TYPE_RESERVED', FIRST_AREA, changed((_, v) => v.setUint16(FIRST_AREA, 0))],
    ['EXTENDED_DATA_TYPE_RESERVED', FIRST_AREA, changed((_, v) => v.setUint16(FIRST_AREA, 4))],
    ['EXTENDED_DATA_TYPE_RESERVED', FIRST_AREA, changed((_, v) => v.setUint16(FIRST_AREA, 0xff))],
    // Cores and deltas: six cores are stated, and there is room for none.
    [
      'EXTENDED_DATA_INVALID',
      FIRST_AREA,
      changed((b) => {
        b.set([0, 2], FIRST_AREA);
        b[FIRST_AREA + 4] = 6;
      }),
    ],
    ['VIEW_NUMBER_INVALID', SECOND_VIEW + 1, changed((b) => (b[SECOND_VIEW + 1] = 0x70))],
    ['VIEW_REPEATED', SECOND_VIEW + 1, changed((b) => b.set([2, 0], SECOND_VIEW))],
    ['RESOLUTION_UNLIKELY', 18, changed((_, v) => v.setUint16(18, 77))],
    ['RESOLUTION_UNLIKELY', 20, changed((_, v) => v.setUint16(20, 500))],
    ['IMAGE_TOO_SMALL', 18, changed((_, v) => v.setUint16(18, 500))],
  ])('is accepted with %s at byte %i', (code, offset, bytes) => {
    expect(noticed(encodeIso197942(base))).toEqual([]);
    expect(noticed(bytes)).toContainEqual([code, offset]);
    const { views } = decodeIso197942(bytes);
    expect(views.map(({ minutiae }) => minutiae.length)).toEqual([3, 0]);
  });

  it.each([
    ['030\0', /'030', that of ISO\/IEC 19794-2:2011 or ANSI\/INCITS 378-2009/],
    ['010\0', /'010'/],
    ['ABC\0', /is not ' 20' \(byte 4\)$/],
  ])('of version %s is rejected, and a known version is named', (version, sentence) => {
    const bytes = changed((b) => b.set(Buffer.from(version), 4));
    expect(refusal(bytes)).toEqual({ reason: 'VERSION_UNSUPPORTED', offset: 4 });
    expect(() => decodeIso197942(bytes)).toThrow(sentence);
  });

  it.each([
    ['FIR\0', /finger image record/],
    ['\x89PNG\r\n', /PNG image/],
    ['Rk1SACAyMAAAAAFK', /base64/],
    ['1.001:00000246', /ANSI\/NIST-ITL/],
  ])('is rejected when starting with %j, and the error names the format', (start, sentence) => {
    const bytes = Buffer.concat([Buffer.from(start, 'latin1'), Buffer.alloc(100)]);
    expect(refusal(bytes)).toEqual({ reason: 'NOT_A_MINUTIAE_RECORD', offset: 0 });
    expect(() => decodeIso197942(bytes)).toThrow(sentence);
  });

  it('is not written when invalid', () => {
    const views = [{ ...base.views[0], position: 11 }] as unknown as FingerMinutiaeRecord['views'];
    expect(() => encodeIso197942({ ...base, views })).toThrow(TemplateError);
    expect(() => encodeIso197942({ ...base, angleUnitsPerTurn: 180 })).toThrow(RangeError);
  });
});

/** A damaged record is either read as it is, or rejected at an offset within it. */
function survives(bytes: Uint8Array): void {
  const notices: string[] = [];
  let record: FingerMinutiaeRecord;
  try {
    record = decodeIso197942(bytes, (code) => void notices.push(code));
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    expect(error.offset).toBeGreaterThanOrEqual(0);
    expect(error.offset).toBeLessThanOrEqual(bytes.length);
    expect(error.message).toContain(`byte ${error.offset}`);
    return;
  }
  const again = encodeIso197942(record);
  expect(decodeIso197942(again)).toEqual(record);
  if (notices.some((code) => REPAIRED.has(code))) return;
  // The length field may be one short; everything else is in the record.
  expect(again.subarray(12)).toEqual(Uint8Array.from(bytes.subarray(12)));
}

/** Notices about data that are not written back as read. */
const REPAIRED = new Set(['PADDED', 'QUALITY_NOT_STATED', 'EXTENDED_DATA_INVALID']);

const damage = fc.array(fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) }), {
  minLength: 1,
  maxLength: 6,
});

function damaged(bytes: Uint8Array, changes: readonly { at: number; value: number }[], cut: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  for (const { at, value } of changes) copy[at % copy.length] = value;
  return copy.subarray(0, copy.length - (cut % copy.length));
}

describe('damaged records', () => {
  it('from the generator are read as they are or rejected', () => {
    const records = Array.from({ length: 20 }, (_, i) => createPerson(1, i).fingerRecord(2, 1));
    fc.assert(
      fc.property(fc.constantFrom(...records), damage, fc.option(fc.nat(), { nil: 0 }), (bytes, changes, cut) => {
        survives(damaged(bytes, changes, cut));
      }),
      { numRuns: 500 },
    );
  });

  it.skipIf(!sharedData)(
    'of real prints are read as they are or rejected (skipped where the shared data is not present)',
    () => {
      const records = isoFiles('fingerprints').filter((_, i) => i % 20 === 0);
      fc.assert(
        fc.property(fc.constantFrom(...records), damage, fc.option(fc.nat(), { nil: 0 }), ({ bytes }, changes, cut) => {
          survives(damaged(bytes, changes, cut));
        }),
        { numRuns: 1000 },
      );
    },
  );

  it('of random bytes are rejected', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => survives(bytes)));
  });
});

describe.skipIf(!sharedData)('real records (skipped where the shared data is not present)', () => {
  it('are all read and written back byte for byte', () => {
    const files = isoFiles('fingerprints');
    expect(files.length).toBeGreaterThan(1000);
    for (const { bytes } of files) expect(Buffer.compare(encodeIso197942(decodeIso197942(bytes)), bytes)).toBe(0);
  });

  it("include the standards' worked examples, of two views each", () => {
    const read = (name: string) => new Uint8Array(readFileSync(join(sharedData ?? '', 'standards/fmr', name)));
    const iso = decodeIso197942(read('iso19794-2-2005-annex-c2.fmr'));
    const incits = decodeIncits378(read('incits378-2004-annex-b2.fmr'));
    for (const { views } of [iso, incits]) {
      expect(views.map(({ position, minutiae }) => [position, minutiae.length])).toEqual([
        [7, 27],
        [2, 22],
      ]);
      expect(views[1]?.extendedData).toHaveLength(1);
    }
    // Equal minutiae: the angles differ only in their unit.
    const turns = (record: FingerMinutiaeRecord) =>
      record.views.flatMap(({ minutiae }) => minutiae.map(({ angle }) => angle / record.angleUnitsPerTurn));
    turns(iso).forEach((turn, i) => expect(Math.abs(turn - (turns(incits)[i] ?? 0))).toBeLessThan(1 / 180));
  });
});

describe('an ANSI/INCITS 378-2004 record', () => {
  /** The body with the INCITS header. */
  function incits(long: boolean): Uint8Array {
    const body = encodeIso197942(base).subarray(12);
    const bytes = new Uint8Array((long ? 18 : 14) + body.length);
    const header = new DataView(bytes.buffer);
    header.setUint32(0, 0x464d5200);
    header.setUint32(4, 0x20323000);
    if (long) header.setUint32(10, bytes.length);
    else header.setUint16(8, bytes.length);
    bytes.set(body, bytes.length - body.length);
    return bytes;
  }

  it('is read with a short and with a long length field', () => {
    for (const long of [false, true]) expect(decodeIncits378(incits(long)).views).toEqual(base.views);
  });

  it('is rejected with an angle of a full turn or more', () => {
    const bytes = incits(false);
    bytes[14 + 12 + 4 + 4] = 180;
    expect(refusal(bytes, decodeIncits378)).toEqual({ reason: 'ANGLE_INVALID', offset: 34 });
  });

  it('is rejected when its length field is wrong', () => {
    const bytes = incits(false);
    new DataView(bytes.buffer).setUint16(8, 7);
    expect(refusal(bytes, decodeIncits378)).toEqual({ reason: 'LENGTH_MISMATCH', offset: 8 });
  });
});
