import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FingerEncoder } from '../../src/matching/kernels/finger-encoder.ts';
import {
  readVectorModel,
  VECTOR_SIZE,
  VECTOR_TABLES_BYTES,
  vectorTables,
  writeVectorModel,
} from '../../src/matching/model/finger-vector-model.ts';
import { VectorEncoder } from '../../src/matching/kernels/finger-vector.ts';
import {
  instantiateKernels,
  KERNEL_STATIC_BYTES,
  REMOVED_SIMILARITY,
  VECTOR_SCRATCH_BYTES,
} from '../../src/matching/kernels/kernels.ts';
import { encodeVectorReference, scanVectorsReference } from '../../src/matching/oracle/finger-vector.ts';
import { shippedVectorModel } from '../../src/matching/model/shipped-model.ts';
import type { FingerTemplate } from '../../src/templates/finger-template.ts';
import { decodeIso197942 } from '../../src/templates/iso-19794-2-2005.ts';
import { toFingerTemplate } from '../../src/templates/normalise.ts';
import { crowd, garbage, secondImpression, somePrint, squeezed } from '../prints.ts';
import { sharedData } from '../shared-data.ts';

const encoder = new FingerEncoder();
const vectors = new VectorEncoder();
const pack = (template: FingerTemplate) => encoder.encode(template) as Uint8Array;
const vectorOf = (template: FingerTemplate) => vectors.encode(pack(template));

/** Each minutia with another quality. */
function withQualities(template: FingerTemplate): FingerTemplate {
  return { ...template, minutiae: template.minutiae.map((minutia, i) => ({ ...minutia, quality: (i * 7) % 101 })) };
}

const inLine: FingerTemplate = {
  ...somePrint(1, 20),
  minutiae: Array.from({ length: 20 }, (_, i) => ({ x: 10 * i, y: 0, angle: 0, type: 1 as const, quality: 0 })),
};
const farApart: FingerTemplate = {
  ...inLine,
  minutiae: inLine.minutiae.map((minutia) => ({ ...minutia, x: minutia.x * 100 })),
};

describe('the candidate vector', () => {
  it('equals the vector of the oracle, bit for bit', () => {
    const templates = [somePrint(1, 5), somePrint(2, 16), somePrint(3, 64), garbage(4, 64), inLine, farApart];
    for (const template of [...templates, ...templates.map(withQualities)]) {
      expect(vectorOf(template)).toEqual(encodeVectorReference(template));
    }
  });

  it('equals the vector of the oracle for templates of any density', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: 5, max: 64 }),
        fc.integer({ min: 6, max: 400 }),
        fc.boolean(),
        (seed, count, pixels, orderly) => {
          const template = withQualities(squeezed(orderly ? somePrint(seed, count) : garbage(seed, count), pixels));
          expect(vectorOf(template)).toEqual(encodeVectorReference(template));
        },
      ),
      { numRuns: 100 },
    );
  });

  it('equals the vector of the oracle for lines of every direction and length', () => {
    const lines = Array.from({ length: 51 * 43 }, (_, i) => ({ dx: 3 * (i % 51), dy: 7 * Math.floor(i / 51) - 150 }));
    // Thirty-two lines a template, each out of reach of the others.
    for (let from = 0; from < lines.length; from += 32) {
      const minutiae = lines.slice(from, from + 32).flatMap(({ dx, dy }, i) => [
        { x: 400 * i, y: 200, angle: (dx * dy) & 255, type: 1 as const, quality: 0 },
        { x: 400 * i + dx, y: 200 + dy, angle: (dx + dy) & 255, type: 1 as const, quality: 0 },
      ]);
      const template = { ...inLine, minutiae };
      expect(vectorOf(template)).toEqual(encodeVectorReference(template));
    }
  });

  const folder = sharedData === undefined ? undefined : join(sharedData, 'fingerprints/fvc2002-mindtct/DB1_B');
  it.skipIf(folder === undefined)(
    `equals the vector of the oracle on real prints${folder === undefined ? ' (skipped: no shared data)' : ''}`,
    () => {
      const names = readdirSync(folder ?? '')
        .filter((name) => name.endsWith('.iso'))
        .sort()
        .slice(0, 8);
      for (const name of names) {
        const record = decodeIso197942(readFileSync(join(folder ?? '', name)));
        const template = toFingerTemplate(record, record.views[0]);
        expect(vectorOf(template)).toEqual(encodeVectorReference(template));
      }
    },
  );

  it('does not depend on the order of the minutiae', () => {
    const template = withQualities(somePrint(7, 40));
    expect(vectorOf({ ...template, minutiae: [...template.minutiae].reverse() })).toEqual(vectorOf(template));
  });

  it('is more similar to that of another impression than to that of another finger', () => {
    const print = somePrint(8, 40);
    const [mate, stranger] = scanVectorsReference(vectorOf(print), [
      vectorOf(secondImpression(print, 9, 20)),
      vectorOf(somePrint(10, 40)),
    ]);
    expect(mate).toBeGreaterThan(stranger);
  });
});

describe('the kernels of candidate vectors', () => {
  it('write only to their output and scan like the oracle', () => {
    const pages = 30;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const bytes = new Uint8Array(memory.buffer).fill(0xa5);
    const kernels = instantiateKernels(memory);
    let next = KERNEL_STATIC_BYTES;
    const take = (length: number) => {
      const address = next + 64;
      next = Math.ceil((address + length) / 16) * 16;
      return address;
    };
    const packed = [crowd(64), somePrint(2, 17), garbage(3, 30)].map(pack);
    const inputs = packed.map((finger) => {
      const address = take(finger.length);
      bytes.set(finger, address);
      return address;
    });
    const tables = take(VECTOR_TABLES_BYTES);
    let at = tables;
    for (const part of vectorTables(shippedVectorModel())) {
      bytes.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at);
      at += part.byteLength;
    }
    const out = take(3 * VECTOR_SIZE);
    const scratch = take(VECTOR_SCRATCH_BYTES);
    const directory = take(12);
    new Uint32Array(memory.buffer, directory, 3).set([7, 0, 9]);
    const widened = take(2 * VECTOR_SIZE);
    new Int16Array(memory.buffer, widened, VECTOR_SIZE).set(vectors.encode(packed[0]));
    const scores = take(6);
    const before = Uint8Array.from(bytes);
    inputs.forEach((input, i) => kernels.encodeVector(input, out + i * VECTOR_SIZE, tables, scratch));
    kernels.scanVectors(widened, out, directory, 3, scores);
    const areas = [
      [out, 3 * VECTOR_SIZE],
      [scratch, VECTOR_SCRATCH_BYTES],
      [scores, 6],
    ];
    const allowed = (i: number) => areas.some(([address, length]) => i >= address && i < address + length);
    expect(bytes.findIndex((byte, i) => byte !== before[i] && !allowed(i))).toBe(-1);
    const made = packed.map((finger) => vectors.encode(finger));
    const [first, , third] = scanVectorsReference(made[0], made);
    expect([...new Int16Array(memory.buffer, scores, 3)]).toEqual([first, REMOVED_SIMILARITY, third]);
  });
});

describe('the file of the vector model', () => {
  const file = writeVectorModel(shippedVectorModel());

  it('is read back unchanged', () => expect(readVectorModel(file).hash).toBe(shippedVectorModel().hash));

  it('is rejected if it is damaged, truncated, or of another type', () => {
    const damaged = Uint8Array.from(file);
    damaged[file.length >> 1] ^= 1;
    expect(() => readVectorModel(damaged)).toThrow('the finger vector model is damaged: its hash does not match');
    expect(() => readVectorModel(file.subarray(0, -1))).toThrow('the finger vector model has the wrong size');
    expect(() => readVectorModel(file.subarray(0, 20))).toThrow('this is not a finger vector model');
    const newer = Uint8Array.from(file);
    newer[4] = 9;
    expect(() => readVectorModel(newer)).toThrow('finger vector models of format 9 are unknown');
  });
});
