import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPerson } from '../../fixtures/person.ts';
import { Failure } from '../../src/failure.ts';
import type { FaceTemplate } from '../../src/templates/face-template.ts';
import type { FingerMinutiaeRecord, RecordMinutia } from '../../src/templates/finger-minutiae-record.ts';
import { MAX_MINUTIAE } from '../../src/templates/finger-template.ts';
import { decodeIso197942, encodeIso197942 } from '../../src/templates/iso-19794-2-2005.ts';
import { toFingerTemplate } from '../../src/templates/normalise.ts';
import { decodeSample, decodeStored, type EncodedSample } from '../../src/templates/sample.ts';

const person = createPerson(3, 1);

function finger(changes: Partial<EncodedSample> = {}): EncodedSample {
  const data = person.fingerRecord(2, 0);
  return {
    modality: 'finger',
    format: 'iso-19794-2-2005',
    data,
    fingerPosition: 0,
    quality: 0,
    modelId: '',
    dimension: 0,
    ...changes,
  };
}

function floats(values: ArrayLike<number>): Uint8Array {
  const bytes = Buffer.alloc(values.length * 4);
  Array.from(values).forEach((value, i) => bytes.writeFloatLE(value, i * 4));
  return bytes;
}

function face(changes: Partial<EncodedSample> = {}): EncodedSample {
  const data = floats(person.faceEmbedding(0));
  return {
    modality: 'face',
    format: 'face-embedding-float32',
    data,
    fingerPosition: 0,
    quality: 0,
    modelId: 'm-1',
    dimension: 512,
    ...changes,
  };
}

function refusal(sample: EncodedSample): readonly [string, string | undefined] {
  try {
    decodeSample(sample);
  } catch (error) {
    if (error instanceof Failure) return [error.reason, error.detail.field];
    throw error;
  }
  throw new Error('the sample was not refused');
}

function record(minutiae: RecordMinutia[], changes: Partial<FingerMinutiaeRecord> = {}): FingerMinutiaeRecord {
  return {
    captureEquipment: 0,
    imageWidth: 600,
    imageHeight: 800,
    xResolution: 197,
    yResolution: 197,
    angleUnitsPerTurn: 256,
    views: [{ position: 1, viewNumber: 0, impressionType: 0, quality: 0, minutiae, extendedData: [] }],
    ...changes,
  };
}

const template = (source: FingerMinutiaeRecord) => toFingerTemplate(source, source.views[0]);
const at = (x: number, y: number, more: Partial<RecordMinutia> = {}): RecordMinutia => ({
  type: 1,
  x,
  y,
  angle: 10,
  quality: 0,
  ...more,
});

describe('the canonical finger template', () => {
  it('keeps pixels and angles of a 500 dpi record and counts y upwards', () => {
    expect(template(record([at(5, 7)])).minutiae).toEqual([{ type: 1, x: 5, y: 792, angle: 10, quality: 0 }]);
  });

  it('is equal to the pixel for a record of 1000 dpi with twice the coordinates', () => {
    const places = [
      [10, 20],
      [101, 203],
      [250, 399],
      [7, 3],
    ] as const;
    const coarse = template(
      record(
        places.map(([x, y]) => at(x, y)),
        { imageHeight: 400 },
      ),
    ).minutiae;
    const fine = template(
      record(
        places.map(([x, y]) => at(2 * x, 2 * y)),
        { xResolution: 394, yResolution: 394 },
      ),
    ).minutiae;
    fine.forEach(({ x, y, angle }, i) => {
      expect(Math.abs(x - (coarse[i]?.x ?? 0))).toBeLessThanOrEqual(1);
      expect(Math.abs(y - (coarse[i]?.y ?? 0))).toBeLessThanOrEqual(1);
      expect(angle).toBe(10);
    });
  });

  it('converts INCITS angles of 2° to 256ths', () => {
    const source = record([at(1, 1, { angle: 45 }), at(9, 9, { angle: 179 })], { angleUnitsPerTurn: 180 });
    expect(template(source).minutiae.map(({ angle }) => angle)).toEqual([64, 255]);
  });

  it('stretches directions with the image when the resolutions differ', () => {
    const source = record([at(1, 1, { angle: 32 })], { yResolution: 394, imageHeight: 700 });
    // 45° with y halved: atan(1/2) = 26.57° = 18.9 / 256.
    expect(template(source).minutiae[0]?.angle).toBe(19);
  });

  it('drops further minutiae at one place', () => {
    expect(template(record([at(5, 5), at(5, 5, { angle: 99 }), at(6, 5)])).minutiae).toHaveLength(2);
  });

  it('keeps the best by quality, in the order of the record', () => {
    const minutiae = Array.from({ length: 100 }, (_, i) => at(i, i, { quality: 1 + ((i * 37) % 100) }));
    const kept = template(record(minutiae)).minutiae;
    expect(kept).toHaveLength(MAX_MINUTIAE);
    expect(Math.min(...kept.map(({ quality }) => quality))).toBe(37);
    expect([...kept].sort((a, b) => a.x - b.x)).toEqual(kept);
  });

  it('keeps those nearest to the centre when no quality is stated', () => {
    const minutiae = Array.from({ length: 201 }, (_, i) => at(i, 0));
    const xs = template(record(minutiae)).minutiae.map(({ x }) => x);
    expect([xs.length, Math.min(...xs), Math.max(...xs)]).toEqual([64, 68, 131]);
  });
});

describe('a finger sample', () => {
  it('becomes one template per view, and is stored view by view', () => {
    const source = decodeIso197942(finger().data);
    const [view] = source.views;
    if (view === undefined) throw new Error('no view');
    const data = encodeIso197942({ ...source, views: [view, { ...view, position: 7, quality: 33 }] });
    const decoded = decodeSample(finger({ data }));
    expect(decoded.map(({ viewIndex, template: { quality } }) => [viewIndex, quality])).toEqual([
      [0, view.quality],
      [1, 33],
    ]);
    for (const { record: stored, storedFormat, template: original } of decoded) {
      const again = decodeStored({
        storedFormat,
        template: stored,
        fingerPosition: original.modality === 'finger' ? original.position : 0,
        quality: original.quality,
        modelId: '',
        dimension: 0,
      });
      expect(again).toEqual(original);
    }
    expect(refusal(finger({ data, fingerPosition: 2 }))).toEqual(['POSITION_AMBIGUOUS', 'finger_position']);
  });

  it('takes the position and the quality that the record does not state', () => {
    const source = decodeIso197942(finger().data);
    const [view] = source.views;
    if (view === undefined) throw new Error('no view');
    const data = encodeIso197942({ ...source, views: [{ ...view, position: 0, quality: 0 }] });
    const [decoded] = decodeSample(finger({ data, fingerPosition: 9, quality: 44 }));
    expect(decoded?.template).toMatchObject({ position: 9, quality: 44 });
  });

  it.each([
    [{ data: new Uint8Array(0) }, 'DATA_MISSING', 'data'],
    [{ data: new Uint8Array(65_537) }, 'DATA_TOO_LARGE', 'data'],
    [{ data: Uint8Array.of(1, 2, 3, 4) }, 'NOT_A_MINUTIAE_RECORD', 'data'],
    [{ fingerPosition: 3 as const }, 'POSITION_CONTRADICTS_RECORD', 'finger_position'],
    [{ quality: 101 }, 'QUALITY_INVALID', 'quality'],
    [{ quality: 1 }, 'QUALITY_CONTRADICTS_RECORD', 'quality'],
    [{ modelId: 'm' }, 'NOT_FOR_A_FINGER', 'model_id'],
    [{ dimension: 512 }, 'NOT_FOR_A_FINGER', 'dimension'],
  ])('is rejected: %o', (changes, reason, field) => {
    expect(refusal(finger(changes))).toEqual([reason, field]);
  });
});

describe('a face sample', () => {
  const values = (sample: EncodedSample) => (decodeSample(sample)[0]?.template as FaceTemplate).values;

  it('does not depend on the length of the embedding', () => {
    const embedding = person.faceEmbedding(0);
    fc.assert(
      fc.property(fc.constantFrom(0.25, 0.5, 2, 1024), (factor) => {
        expect(values(face({ data: floats(embedding.map((value) => value * factor)) }))).toEqual(values(face()));
      }),
    );
  });

  it('is stored as its values and read back unchanged', () => {
    const [decoded] = decodeSample(face({ quality: 7 }));
    if (decoded === undefined) throw new Error('nothing decoded');
    const { record: stored, storedFormat, template: original } = decoded;
    expect(
      decodeStored({ storedFormat, template: stored, fingerPosition: 0, quality: 7, modelId: 'm-1', dimension: 512 }),
    ).toEqual(original);
  });

  it('may come in signed bytes', () => {
    const bytes = Uint8Array.from(values(face()));
    const again = values(face({ format: 'face-embedding-int8', data: bytes }));
    again.forEach((value, i) => expect(Math.abs(value - (values(face())[i] ?? 0))).toBeLessThanOrEqual(1));
  });

  it.each([
    [{ data: new Uint8Array(2047) }, 'TRUNCATED', 'data'],
    [{ data: new Uint8Array(2052) }, 'TRAILING_BYTES', 'data'],
    [{ data: new Uint8Array(2048) }, 'NO_LENGTH', 'data'],
    [{ data: floats([NaN, ...new Array<number>(511).fill(1)]) }, 'NOT_FINITE', 'data'],
    [{ data: floats([...new Array<number>(511).fill(1), Infinity]) }, 'NOT_FINITE', 'data'],
    [{ dimension: 500 }, 'DIMENSION_INVALID', 'dimension'],
    [{ dimension: 48 }, 'DIMENSION_INVALID', 'dimension'],
    [{ dimension: 4096 }, 'DIMENSION_INVALID', 'dimension'],
    [{ modelId: '' }, 'MODEL_ID_INVALID', 'model_id'],
    [{ modelId: 'Ä' }, 'MODEL_ID_INVALID', 'model_id'],
    [{ fingerPosition: 1 as const }, 'NOT_FOR_A_FACE', 'finger_position'],
    [{ format: 'face-embedding-int8' as const, data: new Uint8Array(512).fill(128) }, 'OUT_OF_RANGE', 'data'],
    [{ format: 'face-embedding-int8' as const, data: new Uint8Array(512) }, 'NO_LENGTH', 'data'],
  ])('is rejected: %o', (changes, reason, field) => {
    expect(refusal(face(changes))).toEqual([reason, field]);
  });
});
