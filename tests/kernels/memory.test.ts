import { describe, expect, it } from 'vitest';
import { FingerEncoder, attributeByteOf } from '../../src/matching/kernels/finger-encoder.ts';
import {
  ENCODE_SCRATCH_BYTES,
  FINGER_PACKED_MAX_BYTES,
  FACE_SCRATCH_BYTES,
  FINGER_SCRATCH_BYTES,
  instantiateKernels,
  KERNEL_STATIC_BYTES,
  REMOVED_SCORE,
  type Kernels,
} from '../../src/matching/kernels/kernels.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { compareFacesReference } from '../../src/matching/oracle/face-comparison.ts';
import { compareFingersReference } from '../../src/matching/oracle/finger-comparison.ts';
import { encodeFingerReference } from '../../src/matching/oracle/finger-encoding.ts';
import { shippedFingerModel } from '../../src/matching/model/shipped-model.ts';
import type { FaceTemplate } from '../../src/templates/face-template.ts';
import type { FingerTemplate } from '../../src/templates/finger-template.ts';
import { crowd, garbage, random, secondImpression, somePrint } from '../prints.ts';

const CANARY = 0xa5;
const PAGES = 8;
const encoder = new FingerEncoder();
const pack = (template: FingerTemplate) => encoder.encode(template) as Uint8Array;

/** A memory filled with canaries after the tables, in which values are placed one after another, with gaps. */
class Arena {
  readonly memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  readonly bytes = new Uint8Array(this.memory.buffer);
  #next = KERNEL_STATIC_BYTES;

  constructor() {
    this.bytes.fill(CANARY);
  }

  take(length: number): number {
    const address = this.#next + 64;
    this.#next = Math.ceil((address + length) / 16) * 16;
    return address;
  }

  put(bytes: Uint8Array): number {
    const address = this.take(bytes.byteLength);
    this.bytes.set(bytes, address);
    return address;
  }

  /** A directory of the records at these addresses; 0 for a removed one. */
  directory(addresses: readonly number[]): number {
    return this.put(new Uint8Array(Uint32Array.from(addresses, (address) => address / 16).buffer));
  }

  scores(address: number, count: number): number[] {
    return [...new Int32Array(this.memory.buffer, address, count)];
  }

  /** Runs a function and expects no change outside the areas, tables included. */
  expectWritesWithin(areas: readonly (readonly [address: number, length: number])[], run: () => void): void {
    const before = Uint8Array.from(this.bytes);
    run();
    const allowed = (i: number) => areas.some(([address, length]) => i >= address && i < address + length);
    expect(this.bytes.findIndex((byte, i) => byte !== before[i] && !allowed(i))).toBe(-1);
  }
}

/** The planes of the model, followed by their offsets. */
function writePlanes(arena: Arena, kernels: Kernels): number {
  const { planes, offsets } = shippedFingerModel();
  const length = planes.byteLength + offsets.byteLength;
  const address = arena.take(length);
  new Int16Array(arena.memory.buffer, address, planes.length).set(planes);
  new Int32Array(arena.memory.buffer, address + planes.byteLength, offsets.length).set(offsets);
  const scratch = arena.take(ENCODE_SCRATCH_BYTES);
  const areas = [[address, length] as const, [scratch, ENCODE_SCRATCH_BYTES] as const];
  arena.expectWritesWithin(areas, () => kernels.arrangePlanes(address, scratch));
  return address;
}

function writeMinutiae(arena: Arena, { minutiae }: FingerTemplate): number {
  const address = arena.take(minutiae.length * 8);
  const view = new DataView(arena.memory.buffer);
  const left = Math.min(...minutiae.map(({ x }) => x));
  const lower = Math.min(...minutiae.map(({ y }) => y));
  minutiae.forEach((minutia, i) => {
    const { x, y, angle } = minutia;
    view.setInt16(address + 8 * i, x - left, true);
    view.setInt16(address + 8 * i + 2, y - lower, true);
    view.setUint8(address + 8 * i + 4, angle);
    view.setUint8(address + 8 * i + 5, attributeByteOf(minutia));
  });
  return address;
}

/** Minutiae on a circle: each is a vertex of their convex hull. */
function circle(count: number): FingerTemplate {
  const minutiae = Array.from({ length: count }, (_, i) => ({
    x: Math.round(1000 * Math.cos((2 * Math.PI * i) / count)),
    y: Math.round(1000 * Math.sin((2 * Math.PI * i) / count)),
    angle: (37 * i) & 255,
    type: 1 as const,
    quality: 0,
  }));
  return { modality: 'finger', position: 0, quality: 0, minutiae };
}

describe('the kernels write only to their output', () => {
  it('when they encode a finger', () => {
    const templates = [
      somePrint(1, 5),
      somePrint(2, 16),
      somePrint(3, 17),
      somePrint(4, 64),
      garbage(5, 64),
      circle(64),
      crowd(64),
    ];
    for (const template of templates) {
      const arena = new Arena();
      const kernels = instantiateKernels(arena.memory);
      const expected = encodeFingerReference(template) as Uint8Array;
      const input = writeMinutiae(arena, template);
      const planes = writePlanes(arena, kernels);
      const out = arena.take(expected.byteLength);
      const scratch = arena.take(ENCODE_SCRATCH_BYTES);
      const areas = [
        [out, expected.byteLength],
        [scratch, ENCODE_SCRATCH_BYTES],
      ] as const;
      arena.expectWritesWithin(areas, () => {
        expect(kernels.encodeFinger(input, template.minutiae.length, out, planes, scratch)).toBe(expected.byteLength);
      });
      expect(arena.bytes.slice(out, out + expected.byteLength)).toEqual(expected);
    }
  });

  it('when they refuse to encode: write nothing', () => {
    const arena = new Arena();
    const kernels = instantiateKernels(arena.memory);
    const input = writeMinutiae(arena, somePrint(1, 64));
    const planes = writePlanes(arena, kernels);
    const out = arena.take(2 * FINGER_PACKED_MAX_BYTES);
    const scratch = arena.take(ENCODE_SCRATCH_BYTES);
    for (const count of [-1, 0, 1, 4, 65, 2 ** 31 - 1]) {
      arena.expectWritesWithin([], () => expect(kernels.encodeFinger(input, count, out, planes, scratch)).toBe(0));
    }
  });

  it('when they compare the largest fingers: identical, dense and clustered', () => {
    const heap: FingerTemplate = {
      ...somePrint(9, 64),
      minutiae: somePrint(9, 64).minutiae.map((m, i) => ({ ...m, x: i % 8, y: i >> 3, angle: 0 })),
    };
    for (const template of [somePrint(1, 64), garbage(2, 64), heap]) {
      const arena = new Arena();
      const kernels = instantiateKernels(arena.memory);
      const probe = arena.put(pack(template));
      const reference = arena.put(pack(template));
      const directory = arena.directory([reference, 0, reference]);
      const scores = arena.take(12);
      const scratch = arena.take(FINGER_SCRATCH_BYTES);
      const areas = [
        [scores, 12],
        [scratch, FINGER_SCRATCH_BYTES],
      ] as const;
      arena.expectWritesWithin(areas, () => kernels.compareFingers(probe, directory, 3, scores, scratch));
      const expected = compareFingersReference(pack(template), pack(template));
      expect(arena.scores(scores, 3)).toEqual([expected, REMOVED_SCORE, expected]);
    }
  });

  it('when they compare faces', () => {
    for (const dimension of [16, 64, 512, 2048]) {
      const arena = new Arena();
      const kernels = instantiateKernels(arena.memory);
      const next = random(dimension);
      const faces = Array.from({ length: 3 }, () => Int8Array.from({ length: dimension }, () => 256 * next() - 128));
      const [probe, ...references] = faces.map((values) => arena.put(new Uint8Array(values.buffer)));
      const directory = arena.directory([...references, 0]);
      const scores = arena.take(12);
      const scratch = arena.take(FACE_SCRATCH_BYTES);
      const areas = [
        [scores, 12],
        [scratch, 2 * dimension],
      ] as const;
      arena.expectWritesWithin(areas, () => kernels.compareFaces(probe, dimension, directory, 3, scores, scratch));
      const expected = faces.slice(1).map((values) => compareFacesReference(faces[0], values));
      expect(arena.scores(scores, 3)).toEqual([...expected, REMOVED_SCORE]);
      const similarities = arena.take(6);
      const resembled = [[similarities, 6], areas[1]] as const;
      arena.expectWritesWithin(
        resembled,
        () => void kernels.resembleFaces(probe, dimension, directory, 3, similarities, 2 ** 16, scratch),
      );
    }
  });

  it('when there is nothing to compare: write nothing', () => {
    const arena = new Arena();
    const kernels = instantiateKernels(arena.memory);
    const probe = arena.put(pack(somePrint(1)));
    const scratch = arena.take(FACE_SCRATCH_BYTES);
    // The probe's own form is computed nevertheless.
    arena.expectWritesWithin([[scratch, 32]], () => {
      kernels.compareFingers(probe, probe, 0, probe, probe);
      kernels.compareFaces(probe, 16, probe, 0, probe, scratch);
      kernels.resembleFaces(probe, 16, probe, 0, probe, 1, scratch);
    });
  });
});

describe('a batch', () => {
  const references = Array.from({ length: 30 }, (_, i) =>
    pack(i % 3 === 0 ? secondImpression(somePrint(1), i, 8 * i) : somePrint(i, 5 + 2 * i)),
  );
  const probe = pack(somePrint(1));

  function compareIn(arena: Arena, kernels: Kernels, chosen: readonly Uint8Array[]): number[] {
    const scores = arena.take(4 * chosen.length);
    const directory = arena.directory(chosen.map((packed) => arena.put(packed)));
    const scratch = arena.take(FINGER_SCRATCH_BYTES);
    kernels.compareFingers(arena.put(probe), directory, chosen.length, scores, scratch);
    return arena.scores(scores, chosen.length);
  }

  it('gives each reference its own score, independent of earlier comparisons', () => {
    const arena = new Arena();
    const together = compareIn(arena, instantiateKernels(arena.memory), references);
    const alone = references.map((reference) => {
      const own = new Arena();
      return compareIn(own, instantiateKernels(own.memory), [reference])[0];
    });
    const backwards = new Arena();
    const reversed = compareIn(backwards, instantiateKernels(backwards.memory), [...references].reverse());
    expect(together).toEqual(alone);
    expect(reversed.reverse()).toEqual(alone);
  });

  it('gives the same scores from two alternating instances over one memory', () => {
    const arena = new Arena();
    const first = instantiateKernels(arena.memory);
    const before = compareIn(arena, first, references.slice(0, 6));
    const tables = arena.bytes.slice(0, KERNEL_STATIC_BYTES);
    const second = instantiateKernels(arena.memory);
    expect(arena.bytes.slice(0, KERNEL_STATIC_BYTES)).toEqual(tables);
    expect(compareIn(arena, second, references.slice(0, 6))).toEqual(before);
    expect(compareIn(arena, first, references.slice(0, 6))).toEqual(before);
  });
});

describe('packing', () => {
  it('writes the number of minutiae first, where the kernels read it', () => {
    for (const count of [5, 16, 33, 64]) expect(pack(somePrint(count, count))[0]).toBe(count);
  });

  it('copies exactly the values of a face out of a larger buffer', () => {
    const face = (values: Int8Array): FaceTemplate => ({
      modality: 'face',
      modelId: 'm',
      dimension: values.length,
      quality: 0,
      values,
    });
    const values = Int8Array.from({ length: 80 }, (_, i) => i - 40);
    expect([...new Int8Array(Uint8Array.from(packFace(face(values))).buffer)]).toEqual([...values]);
    const among = new Int8Array(256).fill(3);
    among.set(values, 16);
    expect(packFace(face(among.subarray(16, 96)))).toEqual(packFace(face(values)));
  });
});
