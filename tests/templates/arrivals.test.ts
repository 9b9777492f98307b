/** Rejections and warnings for arriving samples that their format allows, but that would match never, or always. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPerson } from '../../fixtures/person.ts';
import type { FingerMinutiaeRecord, FingerView } from '../../src/templates/finger-minutiae-record.ts';
import { encodeIso197942 } from '../../src/templates/iso-19794-2-2005.ts';
import { decodeSample, decodeStored } from '../../src/templates/sample.ts';
import { TemplateError } from '../../src/templates/template-error.ts';
import { isoFiles, sharedData } from '../shared-data.ts';

const record = createPerson(9, 1).fingerImpression(2, 0);
const [view] = record.views;
if (view === undefined) throw new Error('no view');
const [X_RESOLUTION, Y_RESOLUTION] = [18, 20];

function finger(data: Uint8Array) {
  const about = { modality: 'finger', format: 'iso-19794-2-2005', fingerPosition: 0, quality: 0 } as const;
  return { ...about, data, modelId: '', dimension: 0 };
}
const arrive = (changes: Partial<FingerMinutiaeRecord>) =>
  outcome(() => decodeSample(finger(encodeIso197942({ ...record, ...changes }))));

/** The codes of the warnings, or reason and offset of the rejection. */
function outcome(decode: () => ReturnType<typeof decodeSample>): unknown {
  try {
    return decode().flatMap(({ warnings }) => warnings.map(({ code }) => code));
  } catch (error) {
    if (error instanceof TemplateError) return { reason: error.reason, offset: error.offset };
    throw error;
  }
}

describe('a finger record', () => {
  it.each([
    ['dots per inch in a print of 280 pixels', 500, 280, 'IMAGE_TOO_SMALL'],
    ['dots per inch in one of 300 pixels', 508, 300, 'IMAGE_TOO_SMALL'],
    ['dots per inch in one of 1,000 dpi', 1000, 600, 'IMAGE_TOO_SMALL'],
    ['dots per inch in a large one', 500, 800, 'RESOLUTION_IMPLAUSIBLE'],
  ])('with %s for pixels per centimetre is rejected', (_, resolution, size, reason) => {
    const inside = ({ minutiae }: FingerView) => minutiae.filter(({ x, y }) => x < size && y < size);
    const views = [{ ...view, minutiae: inside(view) }];
    const frame = { imageWidth: size, imageHeight: size, views };
    expect(arrive({ ...frame, xResolution: resolution, yResolution: resolution })).toEqual({
      reason,
      offset: X_RESOLUTION,
    });
  });

  it('is rejected for either resolution, but read when already stored', () => {
    expect(arrive({ yResolution: 900 })).toEqual({ reason: 'IMAGE_TOO_SMALL', offset: Y_RESOLUTION });
    const stored = encodeIso197942({ ...record, yResolution: 900 });
    const facts = { fingerPosition: 2, quality: 0, modelId: '', dimension: 0 } as const;
    expect(decodeStored({ storedFormat: 'iso-19794-2-2005', template: stored, ...facts })).toMatchObject({
      modality: 'finger',
    });
  });

  it.each([
    [77, ['RESOLUTION_UNLIKELY']],
    [98, []],
    [197, []],
    [224, []],
    [394, []],
  ])('of %i pixels per centimetre is accepted, with a warning where that is unlikely', (resolution, warnings) => {
    expect(arrive({ xResolution: resolution, yResolution: resolution })).toEqual(warnings);
  });

  it('gets a warning for a single view numbered 7, but not for ascending view numbers', () => {
    expect(arrive({ views: [{ ...view, viewNumber: 7 }] })).toEqual(['VIEW_NUMBER_INVALID']);
    const other = { ...view, viewNumber: 2, minutiae: view.minutiae.slice(1) };
    expect(arrive({ views: [view, other] })).toEqual([]);
    expect(arrive({ views: [other, view] })).toEqual(['VIEW_NUMBER_INVALID']);
    expect(arrive({ views: [view, { ...other, viewNumber: 0 }] })).toEqual(['VIEW_REPEATED']);
    expect(arrive({ views: [view, { ...view, viewNumber: 1 }] })).toEqual(['VIEW_REPEATED']);
    expect(arrive({ views: [view, { ...view, position: 3 }] })).toEqual([]);
  });

  it.each([17, 176, 255])('of %i views is rejected when more than 16 are of one finger', (count) => {
    const views = Array.from({ length: count }, (_, i) => ({
      ...view,
      minutiae: view.minutiae.slice(0, 9),
      viewNumber: i & 15,
    }));
    const at = 24 + 16 * (4 + 6 * 9 + 2);
    expect(arrive({ views })).toEqual({ reason: 'TOO_MANY_VIEWS', offset: at });
  });

  it('gets a warning for minutiae without angles', () => {
    const minutiae = view.minutiae.map((minutia) => ({ ...minutia, angle: 0 }));
    expect(arrive({ views: [{ ...view, minutiae }] })).toEqual(['ANGLES_ALIKE']);
  });

  it.skipIf(!sharedData)(
    'of a real print is accepted without warnings (skipped where the shared data is not present)',
    () => {
      for (const { bytes } of isoFiles('fingerprints')) expect(outcome(() => decodeSample(finger(bytes)))).toEqual([]);
    },
  );
});

describe('an embedding', () => {
  const DIMENSION = 512;
  type Format = 'face-embedding-float32' | 'face-embedding-int8';
  const decoded = (data: Uint8Array, format: Format = 'face-embedding-float32') =>
    decodeSample({
      modality: 'face',
      format,
      data,
      fingerPosition: 0,
      quality: 0,
      modelId: 'm',
      dimension: DIMENSION,
    });
  const face = (data: Uint8Array, format?: Format) => outcome(() => decoded(data, format));
  const floats = (values: Iterable<number>) => Buffer.from(Float32Array.from(values).buffer);
  const bigEndian = (values: Float32Array) => {
    const bytes = Buffer.alloc(values.length * 4);
    values.forEach((value, i) => bytes.writeFloatBE(value, i * 4));
    return bytes;
  };
  const embeddings = Array.from({ length: 40 }, (_, i) => createPerson(9, i).faceEmbedding(0));

  it('of any length is accepted without warnings', () => {
    fc.assert(
      fc.property(fc.constantFrom(...embeddings), fc.integer({ min: -110, max: 120 }), (embedding, exponent) => {
        expect(face(floats(embedding.map((value) => value * 2 ** exponent)))).toEqual([]);
      }),
    );
  });

  it('without negative components or with many zeros is accepted without warnings', () => {
    for (const embedding of embeddings) {
      expect(face(floats(embedding.map(Math.abs)))).toEqual([]);
      expect(face(floats(embedding.map((value) => Math.max(0, value - 0.05))))).toEqual([]);
    }
  });

  it('in big-endian order is always rejected', () => {
    const refusals = embeddings.map((embedding) => face(bigEndian(embedding)));
    for (const refused of refusals) {
      expect(['NOT_FINITE', 'COMPONENTS_IMPLAUSIBLE']).toContain((refused as { reason: string }).reason);
    }
    // Also without a component that becomes infinite by chance.
    const finite = Float32Array.from(embeddings[0] ?? [], (value, i) => {
      const bytes = new DataView(new ArrayBuffer(4));
      bytes.setFloat32(0, value);
      bytes.setUint8(3, (i * 37) % 120);
      return bytes.getFloat32(0);
    });
    expect(face(bigEndian(finite))).toEqual({ reason: 'COMPONENTS_IMPLAUSIBLE', offset: 0 });
    expect(() => decoded(bigEndian(finite))).toThrow('big-endian');
    // One of them is infinite by chance.
    expect(() => decoded(bigEndian(finite.with(3, Buffer.from([0x3c, 0, 0x80, 0x7f]).readFloatBE())))).toThrow(
      /^Component 3, .*: the bytes seem to be in big-endian order/,
    );
  });

  it('with NaN or infinity is rejected at the first one, without a hint at byte order', () => {
    const [embedding = new Float32Array(DIMENSION)] = embeddings;
    const with1 = (at: number, value: number) => embedding.map((was, i) => (i === at ? value : was));
    const all = (value: number) => new Array<number>(DIMENSION).fill(value);
    const refused = (values: Iterable<number>, first: number) =>
      expect(() => decoded(floats(values))).toThrow(
        expect.objectContaining({
          reason: 'NOT_FINITE',
          message: `Component ${first}, counted from 0, is NaN or infinite (byte ${first * 4})`,
        }),
      );
    for (const value of [NaN, Infinity, -Infinity]) {
      refused(all(value), 0);
      for (const at of [0, 7, DIMENSION - 1]) {
        refused(with1(at, value), at);
        refused(all(1).with(at, value), at);
      }
    }
  });

  it('of another number type is rejected', () => {
    const [embedding = new Float32Array(DIMENSION)] = embeddings;
    const halves = Buffer.from(Float64Array.from(embedding.slice(0, DIMENSION / 2)).buffer);
    expect(face(halves)).toMatchObject({
      reason: expect.stringMatching('NOT_FINITE|COMPONENTS_IMPLAUSIBLE') as string,
    });
    const bytes = Int8Array.from({ length: DIMENSION * 4 }, (_, i) =>
      Math.round(300 * (embedding[i % DIMENSION] ?? 0)),
    );
    expect(face(Buffer.from(bytes.buffer))).toMatchObject({
      reason: expect.stringMatching('NOT_FINITE|COMPONENTS_IMPLAUSIBLE') as string,
    });
  });

  it.each([
    ['one component', (_: number, i: number) => (i === 7 ? 1 : 0), ['COMPONENTS_CONCENTRATED']],
    ['the same components', () => 0.3, ['COMPONENTS_ALIKE']],
    ['unsigned bytes', (value: number) => 128 + 300 * value, ['COMPONENTS_ALIKE']],
  ])('of %s gets a warning', (_, make, warnings) => {
    expect(face(floats(Array.from(embeddings[0] ?? [], make)))).toEqual(warnings);
  });

  it('of unsigned bytes read as signed gets a warning or is rejected', () => {
    const unsigned = Uint8Array.from(embeddings[0] ?? [], (value) => 128 + Math.round(600 * value));
    expect(face(unsigned, 'face-embedding-int8')).toMatchObject({ reason: 'OUT_OF_RANGE' });
    expect(
      face(
        unsigned.map((value) => (value === 128 ? 129 : value)),
        'face-embedding-int8',
      ),
    ).toEqual(['COMPONENTS_UNSIGNED']);
    const signs = Int8Array.from(embeddings[0] ?? [], (value) => (value < 0 ? -1 : 1));
    expect(face(Uint8Array.from(signs), 'face-embedding-int8')).toEqual([]);
  });

  it.skipIf(!sharedData)(
    'of a real face is accepted without warnings (skipped where the shared data is not present)',
    () => {
      const rows = readFileSync(join(sharedData ?? '', 'lfw-embeddings/embeddings.f32'));
      for (let at = 0; at < rows.length; at += 10 * DIMENSION * 4) {
        const row = rows.subarray(at, at + DIMENSION * 4);
        expect(face(row)).toEqual([]);
        expect(Array.isArray(face(Buffer.from(row).swap32()))).toBe(false);
      }
    },
  );
});
