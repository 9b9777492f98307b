/** Stored samples: the packed template equals the live one byte for byte, and the record is valid. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mutate } from '../../bench/mutations/mutation.ts';
import { realOriginals, syntheticOriginals } from '../../bench/mutations/originals.ts';
import { Trial } from '../../bench/mutations/trial.ts';
import { Random } from '../../src/random.ts';
import type { FingerMinutiaeRecord } from '../../src/templates/finger-minutiae-record.ts';
import { decodeIncits378, encodeIncits378 } from '../../src/templates/incits-378-2004.ts';
import { decodeIso197942, encodeIso197942 } from '../../src/templates/iso-19794-2-2005.ts';
import { toFingerTemplate } from '../../src/templates/normalise.ts';
import { decodeSample, decodeStored, type EncodedSample } from '../../src/templates/sample.ts';
import { sharedData } from '../shared-data.ts';

const SIZE = 300;

/** Records as they may arrive, including odd ones. */
const anyRecord = (angleUnitsPerTurn: 256 | 180) => {
  const minutia = fc.record({
    type: fc.constantFrom(0, 1, 2),
    x: fc.integer({ min: 0, max: SIZE }),
    y: fc.integer({ min: 0, max: SIZE }),
    angle: fc.integer({ min: 0, max: angleUnitsPerTurn - 1 }),
    quality: fc.integer({ min: 0, max: 100 }),
  });
  const area = fc.record({ type: fc.constantFrom(0, 1, 2, 3, 4, 0x101), data: fc.uint8Array({ maxLength: 12 }) });
  const view = fc.record({
    position: fc.integer({ min: 0, max: 10 }),
    viewNumber: fc.integer({ min: 0, max: 15 }),
    impressionType: fc.constantFrom(0, 1, 2, 3, 8, 9),
    quality: fc.integer({ min: 0, max: 100 }),
    minutiae: fc.array(minutia, { maxLength: 120, size: 'medium' }),
    extendedData: fc.array(area, { maxLength: 3 }),
  });
  return fc.record({
    productIdentifier: fc.constant(0x00330001),
    captureEquipment: fc.integer({ min: 0, max: 0xffff }),
    imageWidth: fc.constant(SIZE),
    imageHeight: fc.constant(SIZE),
    xResolution: fc.integer({ min: 40, max: 400 }),
    yResolution: fc.integer({ min: 40, max: 400 }),
    angleUnitsPerTurn: fc.constant(angleUnitsPerTurn),
    views: fc.array(view, { minLength: 1, maxLength: 5 }),
  }) as fc.Arbitrary<FingerMinutiaeRecord>;
};

function finger(format: 'iso-19794-2-2005' | 'incits-378-2004', data: Uint8Array): EncodedSample {
  return { modality: 'finger', format, data, fingerPosition: 0, quality: 0, modelId: '', dimension: 0 };
}

function face(format: 'face-embedding-float32' | 'face-embedding-int8', data: Uint8Array, dimension: number) {
  return { modality: 'face', format, data, fingerPosition: 0, quality: 0, modelId: 'm', dimension } as const;
}

describe('live templates equal stored, exported and imported ones', () => {
  const trial = new Trial();
  const holds = (sample: EncodedSample) => expect(trial.try(sample, true)).toMatchObject({ fault: undefined });
  const isRead = (sample: EncodedSample) =>
    expect(trial.try(sample, true)).toMatchObject({ fault: undefined, refused: undefined });

  it('of ISO records of any views, resolutions and extended data', () => {
    const sample = anyRecord(256).map((record) => finger('iso-19794-2-2005', encodeIso197942(record)));
    fc.assert(
      fc.property(sample, (one) => void isRead(one)),
      { numRuns: 100 },
    );
  });

  it('of INCITS records of any views, resolutions and extended data', () => {
    const sample = anyRecord(180).map((record) => finger('incits-378-2004', encodeIncits378(record)));
    fc.assert(
      fc.property(sample, (one) => void isRead(one)),
      { numRuns: 100 },
    );
  });

  it('of embeddings of any shape, including clipped ones', () => {
    // Powers make a few components much larger than the others.
    const floats = fc
      .tuple(
        fc.float64Array({ min: -1, max: 1, minLength: 64, maxLength: 64, noNaN: true }),
        fc.integer({ min: 1, max: 9 }),
      )
      .map(([values, power]) => Buffer.from(Float32Array.from(values, (value) => value ** power).buffer));
    fc.assert(
      fc.property(floats, (data) => void holds(face('face-embedding-float32', data, 64))),
      { numRuns: 300 },
    );
  });

  it('of signed bytes of any shape', () => {
    const bytes = fc
      .tuple(
        fc.array(fc.integer({ min: -127, max: 127 }), { minLength: 64, maxLength: 64 }),
        fc.integer({ min: 1, max: 40 }),
      )
      .map(([values, divisor]) =>
        Uint8Array.from(values, (value, i) => (i % 9 === 0 ? value : Math.trunc(value / divisor))),
      );
    fc.assert(
      fc.property(bytes, (data) => void holds(face('face-embedding-int8', data, 64))),
      { numRuns: 300 },
    );
  });

  it('of damaged samples of every format', () => {
    const originals = syntheticOriginals(5, 3);
    const random = new Random(5, 1);
    const seen = new Set<string>();
    for (let i = 0; i < 4000; i++) {
      const original = originals[random.below(originals.length)];
      if (original === undefined) throw new Error('no sample');
      const outcome = trial.try({ ...original, data: mutate(original.data, random) }, i % 20 === 0);
      expect(outcome).toMatchObject({ fault: undefined });
      seen.add(outcome.refused ?? 'read');
      outcome.warnings.forEach((code) => seen.add(code));
    }
    // The damage reaches every part of a record.
    for (const one of ['read', 'TRUNCATED', 'TRAILING_BYTES', 'PADDED', 'EXTENDED_DATA_INVALID', 'NOT_FINITE']) {
      expect(seen).toContain(one);
    }
  });

  it.skipIf(!sharedData)('of damaged real samples (skipped where the shared data is not present)', () => {
    const originals = realOriginals(sharedData ?? '', 100);
    const random = new Random(5, 2);
    for (let i = 0; i < 2000; i++) {
      const original = originals[random.below(originals.length)];
      if (original === undefined) throw new Error('no sample');
      expect(trial.try({ ...original, data: mutate(original.data, random) }, i % 20 === 0)).toMatchObject({
        fault: undefined,
      });
    }
  });
});

/** The rules of NIST's validator for a record (BiomDI, after ISO/IEC 29109-2), written independently. */
function violations(record: FingerMinutiaeRecord): string[] {
  const found: string[] = [];
  const rule = (holds: boolean, name: string) => void (holds || found.push(name));
  const next = new Map<number, number>();
  const point = (view: DataView, at: number, what: string) => {
    rule((view.getUint16(at) & 0x3fff) < record.imageWidth, `${what} to the right`);
    rule((view.getUint16(at + 2) & 0x3fff) < record.imageHeight, `${what} below`);
  };
  for (const { position, viewNumber, quality, minutiae, extendedData } of record.views) {
    rule(next.has(position) || viewNumber === 0, 'the first view of a finger is not 0');
    rule(viewNumber >= (next.get(position) ?? 0), 'view numbers fall');
    next.set(position, viewNumber + 1);
    rule(quality <= 100, 'quality');
    for (const { x, y, angle, quality: one } of minutiae) {
      rule(x < record.imageWidth && y < record.imageHeight, 'minutia outside');
      rule(angle < record.angleUnitsPerTurn && one <= 100, 'minutia');
    }
    for (const { type, data } of extendedData) {
      rule(type !== 0, 'reserved type');
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      if (type === 1) {
        rule((data[0] ?? 9) <= 2 && (data.length - 1) % 3 === 0, 'ridge counts');
        for (let at = 1; at + 2 < data.length; at += 3)
          rule(Math.max(data[at] ?? 0, data[at + 1] ?? 0) <= minutiae.length, 'ridge count of no minutia');
      } else if (type === 2) {
        let at = 0;
        for (const [angles, mask] of [
          [1, record.angleUnitsPerTurn === 180 ? 0x0f : 0x3f],
          [3, 0x3f],
        ] as const) {
          const head = data[at++] ?? NaN;
          for (let left = head & mask; left > 0; left--) {
            if (at + 4 > data.length) return [...found, 'points are cut off'];
            point(view, at, 'point');
            const kind = record.angleUnitsPerTurn === 180 ? head >> 6 : (data[at] ?? 0) >> 6;
            at += 4;
            for (let n = kind === 1 ? angles : 0; n > 0; n--)
              rule((data[at++] ?? 999) < record.angleUnitsPerTurn, 'angle of a point');
          }
        }
        rule(at === data.length, 'points end elsewhere');
      }
    }
  }
  return found;
}

describe('each view of a multi-view record is stored as a valid record of its standard', () => {
  it.each([
    ['iso-19794-2-2005', 256, encodeIso197942, decodeIso197942],
    ['incits-378-2004', 180, encodeIncits378, decodeIncits378],
  ] as const)('%s', (format, units, encode, decode) => {
    fc.assert(
      fc.property(anyRecord(units), (record) => {
        fc.pre(record.views.length > 1);
        const decoded = decodeSample(finger(format, encode(record)));
        expect(decoded).toHaveLength(record.views.length);
        decoded.forEach(({ record: bytes, storedFormat }, i) => {
          expect(storedFormat).toBe(format);
          const stored = decode(bytes);
          expect(violations(stored)).toEqual([]);
          const { minutiae, impressionType, position } = record.views[i] ?? {};
          expect(stored.views).toMatchObject([{ minutiae, impressionType, position }]);
          expect(stored.productIdentifier).toBe(units === 180 ? 0x00330001 : undefined);
        });
      }),
      { numRuns: 60 },
    );
  });

  it('with its extended data that conform to the standard', () => {
    const [, , , sample] = syntheticOriginals(5, 1);
    if (sample === undefined) throw new Error('no sample of several views');
    const before = decodeIncits378(sample.data).views;
    const after = decodeSample(sample).map(({ record }) => decodeIncits378(record).views[0]);
    expect(after.map((view) => view?.extendedData)).toEqual(before.map(({ extendedData }) => extendedData));
    expect(before.flatMap(({ extendedData }) => extendedData.map(({ type }) => type))).toContain(2);
  });
});

it('a view stored as ISO from an INCITS record is read as before', () => {
  const minutiae = Array.from(
    { length: 20 },
    (_, i) => ({ type: 1, x: 9 * i, y: 7 * i, angle: 8 * i, quality: 50 }) as const,
  );
  const view = { position: 3, viewNumber: 4, impressionType: 0, quality: 60, minutiae, extendedData: [] } as const;
  const record: FingerMinutiaeRecord = {
    captureEquipment: 0,
    imageWidth: SIZE,
    imageHeight: SIZE,
    xResolution: 197,
    yResolution: 99,
    angleUnitsPerTurn: 256,
    views: [view],
  };
  const stored = { storedFormat: 'iso-19794-2-2005', template: encodeIso197942(record) } as const;
  const template = decodeStored({ ...stored, fingerPosition: 3, quality: 60, modelId: '', dimension: 0 });
  expect(template).toEqual(toFingerTemplate(record, view));
});

describe.skipIf(!sharedData)('the standards’ examples (skipped where the shared data is not present)', () => {
  it.each([
    ['iso-19794-2-2005', 'iso19794-2-2005-annex-c2.fmr'],
    ['incits-378-2004', 'incits378-2004-annex-b2.fmr'],
  ] as const)('%s are read, stored and imported without warnings', (format, name) => {
    const data = new Uint8Array(readFileSync(join(sharedData ?? '', 'standards/fmr', name)));
    expect(new Trial().try(finger(format, data), true)).toEqual({ refused: undefined, warnings: [], fault: undefined });
  });
});
