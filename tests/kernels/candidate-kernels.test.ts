import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { blockOffset, CodePlane, planeBytes } from '../../src/gallery/code-plane.ts';
import { instantiateCandidateKernels, NIBBLE } from '../../src/matching/kernels/candidate-kernels.ts';
import { codeTables, STEP } from '../../src/matching/kernels/code-tables.ts';
import { CodeEncoder } from '../../src/matching/kernels/finger-codes.ts';
import { FingerEncoder } from '../../src/matching/kernels/finger-encoder.ts';
import { VectorEncoder } from '../../src/matching/kernels/finger-vector.ts';
import { REMOVED_SIMILARITY } from '../../src/matching/kernels/kernels.ts';
import { CODE_BYTES, CODE_PAIRS, VECTOR_SIZE } from '../../src/matching/model/finger-vector-model.ts';
import { shippedVectorModel } from '../../src/matching/model/shipped-model.ts';
import { nearestCentroids, ranksByValues, valueOfCodes } from './finger-codes-oracle.ts';
import { BestReferences } from '../../src/matching/workers/best-references.ts';
import { ChoiceMemory } from '../../src/matching/workers/choice-memory.ts';
import { secondImpression, somePrint } from '../prints.ts';
import { buildCases } from './builds.ts';

const { codeBook } = shippedVectorModel();
const anyVector = fc.int8Array({ min: -127, max: 127, minLength: VECTOR_SIZE, maxLength: VECTOR_SIZE });

function nibbles(codes: Uint8Array): number[] {
  return Array.from(codes).flatMap((byte) => [byte & 15, byte >> 4]);
}

describe.each(buildCases)('the candidate kernels, $title', ({ build, skipped }) => {
  if (skipped) return it.skip('do not run here');
  const encoder = new CodeEncoder(codeBook, build);

  it('encode each pair of components as its nearest centroid', () => {
    fc.assert(
      fc.property(anyVector, (vector) => {
        expect(nibbles(encoder.encode(vector))).toEqual(nearestCentroids(vector, codeBook));
      }),
    );
  });

  it('scan codes to the values of the oracle, and give a removed reference 0', () => {
    const memory = new WebAssembly.Memory({ initial: 8, maximum: 8, shared: true });
    const kernels = instantiateCandidateKernels(memory, build);
    fc.assert(
      fc.property(
        anyVector,
        fc.array(fc.record({ vector: anyVector, isRemoved: fc.boolean() }), { minLength: 1, maxLength: 70 }),
        (probe, references) => {
          const plane = new CodePlane(memory, 65_536, 96, CODE_BYTES);
          references.forEach(({ vector, isRemoved }, i) => {
            plane.write(i, encoder.encode(vector));
            if (isRemoved) plane.remove(i);
          });
          const { tables, base } = codeTables(probe, codeBook);
          new Uint8Array(memory.buffer, 4096).set(tables);
          kernels.scanCodes(4096, CODE_PAIRS, base, 65_536, references.length, NIBBLE, 16_384);
          const values = [...new Uint8Array(memory.buffer, 16_384, references.length)];
          expect(values).toEqual(
            references.map(({ vector, isRemoved }) =>
              isRemoved ? 0 : valueOfCodes(nearestCentroids(vector, codeBook), tables, base),
            ),
          );
        },
      ),
      { numRuns: 40 },
    );
  });

  it('estimate non-mated similarities to within a half of their deviation, and mated ones a seventh too low at most', () => {
    const [fingers, vectors] = [new FingerEncoder(), new VectorEncoder()];
    const vectorOf = (print: ReturnType<typeof somePrint>) => vectors.encode(fingers.encode(print) as Uint8Array);
    const compare = (probe: Int8Array, reference: Int8Array) => {
      const { tables, base } = codeTables(probe, codeBook);
      const similarity = probe.reduce((sum, value, k) => sum + value * reference[k], 0) / 8;
      const value = valueOfCodes(nibbles(encoder.encode(reference)), tables, base);
      return { similarity, estimate: STEP * (value - 1) };
    };
    let squares = 0;
    const count = 60;
    for (let i = 0; i < count; i++) {
      const probe = vectorOf(secondImpression(somePrint(i, 40), i, 20));
      const mated = compare(probe, vectorOf(somePrint(i, 40)));
      // A centroid is shorter than the components that it stands for.
      expect(mated.estimate).toBeGreaterThan((6 / 7) * mated.similarity - 1800 / 2);
      expect(mated.estimate).toBeLessThan(mated.similarity + 1800 / 2);
      const other = compare(probe, vectorOf(somePrint(i + count, 40)));
      squares += (other.estimate - Math.max(0, other.similarity)) ** 2;
    }
    expect(Math.sqrt(squares / count)).toBeLessThan(1800 / 2);
  });

  it('choose the subjects of the highest ranks, with ties, whatever the order of references and segments', () => {
    const memory = new ChoiceMemory(build);
    const table = Uint16Array.from({ length: 128 }, (_, i) => {
      if (i < 2) return 0;
      return i % 2 === 0 ? Math.round(4096 / Math.sqrt(i >> 1)) : 1 + Math.round(80 * (8 - Math.sqrt(i >> 1)));
    });
    const reference = fc.record({ owner: fc.nat(99), value: fc.oneof(fc.nat(255), fc.constant(0)) });
    // Kernels note and list the references of sixteen consecutive subjects at once: runs, whole and with a gap.
    const run = fc
      .record({
        first: fc.nat(50),
        gap: fc.integer({ min: 1, max: 48 }),
        values: fc.array(fc.nat(255), { minLength: 16, maxLength: 48 }),
      })
      .map(({ first, gap, values }) => values.map((value, i) => ({ owner: first + i + (i < gap ? 0 : 1), value })));
    const runs = fc.array(run, { minLength: 1, maxLength: 3 });
    const references = fc.oneof(
      fc.array(reference, { maxLength: 60 }),
      runs.map((some) => some.flat()),
    );
    const segments = fc.array(references, { maxLength: 3 });
    const instances = fc.oneof(
      fc.array(segments, { maxLength: 5 }),
      fc.array(segments, { minLength: 14, maxLength: 18 }),
    );
    fc.assert(
      fc.property(instances, fc.integer({ min: 1, max: 120 }), fc.boolean(), (scanned, wanted, bySimilarity) => {
        const columns = scanned.map((segments) =>
          segments.map((references) => ({
            owners: Uint32Array.from(references, ({ owner }) => owner),
            values: bySimilarity
              ? Int16Array.from(references, ({ value }) => (value === 0 ? REMOVED_SIMILARITY : (value - 1) * STEP))
              : Uint8Array.from(references, ({ value }) => value),
          })),
        );
        const largest = bySimilarity ? Math.floor(32_767 / STEP) + 1 : 255;
        const known = scanned.map((segments) =>
          segments.flat().map(({ owner, value }) => ({ owner, value: Math.min(value, largest) })),
        );
        const usable = columns.map((segments, t) =>
          segments.map(({ owners, values }, s) => ({
            owners,
            values: values.map((value, i) => (bySimilarity && scanned[t][s][i].value > largest ? 32_767 : value)),
          })),
        );
        const ranks = ranksByValues(known, table);
        memory.rank(usable, 100, table);
        const chosen = memory.choose(wanted, 100);
        const ordered = [...ranks.values()].sort((a, b) => b - a);
        const least = ordered[Math.min(wanted, ordered.length) - 1] ?? 1;
        const expected = [...ranks].filter(([, rank]) => rank >= least).map(([owner]) => owner);
        expect([...chosen]).toEqual(expected.sort((a, b) => a - b));
        for (const { owners } of usable.flat()) {
          const indices = [...memory.referencesOf(owners, 100)];
          expect(indices).toEqual([...owners.keys()].filter((i) => expected.includes(owners[i])));
        }
        memory.release(chosen);
      }),
    );
  });

  it('wipe the bytes given, and no others', () => {
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
    const kernels = instantiateCandidateKernels(memory, build);
    fc.assert(
      fc.property(fc.nat(300), fc.nat(300), (from, count) => {
        const bytes = new Uint8Array(memory.buffer, 65_536, 700).fill(5);
        kernels.wipe(65_536 + from, count);
        expect([...bytes]).toEqual(Array.from(bytes, (_, i) => (i >= from && i < from + count ? 0 : 5)));
      }),
    );
  });

  it('list the references of the greatest values, with ties, whatever was chosen before', () => {
    const best = new BestReferences(build);
    const lists = fc.array(fc.uint8Array({ maxLength: 5000, max: 255 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(lists, fc.integer({ min: 1, max: 6000 }), (values, wanted) => {
        const { indices, areAll } = best.choose(values, wanted);
        const present = values.flatMap((list) => [...list]).filter((value) => value > 0);
        const least = present.sort((a, b) => b - a)[wanted - 1] ?? 1;
        expect(indices.map((own) => [...own])).toEqual(
          values.map((list) => [...list.keys()].filter((i) => list[i] >= least)),
        );
        expect(areAll).toBe(least === 1);
      }),
      { numRuns: 60 },
    );
  });

  it('leave out subjects that are outside the galleries, or expired', () => {
    const memory = new ChoiceMemory(build);
    const owners = Uint32Array.from({ length: 200 }, (_, i) => i);
    const values = new Uint8Array(200).fill(7);
    const [even, third] = [new SharedArrayBuffer(150), new SharedArrayBuffer(200)];
    new Uint8Array(even).forEach((_, ordinal, all) => (all[ordinal] = ordinal % 2 === 0 ? 2 : 0));
    new Uint8Array(third).forEach((_, ordinal, all) => (all[ordinal] = ordinal % 3 === 0 ? 1 : 0));
    const times = new SharedArrayBuffer(8 * 190);
    new Float64Array(times).forEach((_, ordinal, all) => (all[ordinal] = ordinal % 5 === 0 ? 1000 : Infinity));
    const inScope = (ordinal: number) => (ordinal < 150 && ordinal % 2 === 0) || ordinal % 3 === 0;
    const expires = (ordinal: number) => ordinal % 5 === 0 || ordinal >= 190;
    const table = Uint16Array.of(0, 0, 4096, 1);
    for (const instantMs of [999, 1000]) {
      memory.rank([[{ owners, values }]], 200, table);
      memory.mask({ scopes: [even, third], expiry: { times, instantMs }, classes: undefined, ages: undefined }, 200);
      const chosen = memory.choose(300, 200);
      const isHidden = (ordinal: number) => ordinal >= 190 || (instantMs === 1000 && expires(ordinal));
      expect([...chosen]).toEqual([...owners].filter((ordinal) => inScope(ordinal) && !isHidden(ordinal)));
      memory.release(chosen);
    }
    // Minors until an instant: of one class subjects of age, minors or both may be found; with expiries, and without.
    const [ends, ids, allowed] = [
      new SharedArrayBuffer(8 * 190),
      new SharedArrayBuffer(4 * 190),
      new SharedArrayBuffer(2),
    ];
    new Float64Array(ends).forEach((_, ordinal, all) => (all[ordinal] = ordinal % 7 === 0 ? 1001 : -Infinity));
    new Uint32Array(ids).forEach((_, ordinal, all) => (all[ordinal] = ordinal % 2));
    new Uint8Array(allowed)[1] = 1;
    const odd = { ids, allowed };
    const rules = [undefined, odd].flatMap((ofAge) =>
      [undefined, odd, 'all' as const].map((minors) => ({ ofAge, minors })),
    );
    for (const { ofAge, minors } of rules) {
      for (const expiry of [undefined, { times, instantMs: 1000 }]) {
        for (const instantMs of [1000, 1001]) {
          const mayBe = (ordinal: number) => {
            const rule = instantMs === 1000 && ordinal % 7 === 0 ? minors : (ofAge ?? 'all');
            return rule === 'all' || (rule !== undefined && ordinal % 2 === 1);
          };
          // From 190 on, subjects are newer than the search.
          const isHidden = (ordinal: number) =>
            ordinal >= 190 || (expiry !== undefined && expires(ordinal)) || !mayBe(ordinal);
          memory.rank([[{ owners, values }]], 200, table);
          memory.mask({ scopes: undefined, expiry, classes: undefined, ages: { ends, instantMs, ofAge, minors } }, 200);
          const chosen = memory.choose(300, 200);
          expect([...chosen]).toEqual([...owners].filter((ordinal) => !isHidden(ordinal)));
          memory.release(chosen);
        }
      }
    }
    memory.rank([[{ owners, values }]], 200, table);
    expect(memory.choose(300, 200)).toHaveLength(200);
  });
});

describe('a choice after one that failed', () => {
  const table = Uint16Array.of(0, 0, 4096, 1, 2896, 1);
  const owning = (...owners: number[]) => ({
    owners: Uint32Array.from(owners),
    values: new Uint8Array(owners.length).fill(9),
  });

  it('meets nothing of the values and marks of that one', () => {
    const memory = new ChoiceMemory();
    // Its values came to their end halfway.
    const broken = {
      ...owning(1, 2),
      get values(): Uint8Array {
        throw new RangeError('no memory');
      },
    };
    expect(() => memory.rank([[owning(3), broken]], 100, table)).toThrow(RangeError);
    memory.rank([[owning(5)], [owning(6)]], 100, table);
    expect([...memory.choose(10, 100)]).toEqual([5, 6]);
    // It ended before `release`.
    memory.rank([[owning(7)]], 100, table);
    expect([...memory.choose(10, 100)]).toEqual([7]);
    expect([...memory.referencesOf(Uint32Array.of(5, 6, 7), 100)]).toEqual([2]);
  });

  it('works in the memory that there is, where there was none for a larger one', () => {
    const memory = new ChoiceMemory();
    const choose = (ordinals: number) => {
      memory.rank([[owning(3, ordinals - 1)]], ordinals, table);
      const chosen = memory.choose(10, ordinals);
      memory.release(chosen);
      return [...chosen];
    };
    expect(choose(100)).toEqual([3, 99]);
    const full = vi.spyOn(WebAssembly, 'Memory').mockImplementation(function () {
      throw new RangeError('no memory');
    });
    expect(() => choose(900_000)).toThrow('no memory');
    expect(() => choose(900_000)).toThrow('no memory');
    expect(choose(100)).toEqual([3, 99]);
    full.mockRestore();
    expect(choose(900_000)).toEqual([3, 899_999]);
  });
});

it('the greatest values are chosen in the memory that there is, where there was no room for kernels of a larger one', () => {
  const best = new BestReferences();
  const choose = (count: number) => {
    const values = new Uint8Array(count).fill(3);
    values[count - 1] = 9;
    return best.choose([values], 1).indices.map((indices) => [...indices]);
  };
  expect(choose(1000)).toEqual([[999]]);
  const full = vi.spyOn(WebAssembly, 'Instance').mockImplementation(function () {
    throw new RangeError('no memory');
  });
  expect(() => choose(900_000)).toThrow('no memory');
  full.mockRestore();
  expect(choose(2000)).toEqual([[1999]]);
  expect(choose(900_000)).toEqual([[899_999]]);
});

describe('a plane of codes', () => {
  it('keeps the codes of each reference apart from those of others', () => {
    const codes = fc.uint8Array({ minLength: 3, maxLength: 3 });
    const step = fc.record({ index: fc.nat(69), codes, kind: fc.constantFrom('write', 'remove', 'erase') });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
        const plane = new CodePlane(memory, 0, 70, 3);
        const model = Array.from({ length: 70 }, () => ({ codes: new Uint8Array(3), isRemoved: false }));
        for (const { index, codes: written, kind } of steps) {
          if (kind === 'write') plane.write(index, written);
          else plane.remove(index);
          if (kind === 'erase') plane.erase(index);
          const kept = kind === 'write' ? written : kind === 'erase' ? new Uint8Array(3) : model[index].codes;
          model[index] = { codes: kept, isRemoved: kind !== 'write' };
        }
        model.forEach(({ codes: expected, isRemoved }, index) => {
          const read = new Uint8Array(3);
          plane.read(index, read);
          expect(read).toEqual(expected);
          const marks = blockOffset(index - (index % 32), 3) + 2 * 3 * 16;
          expect(new Uint8Array(memory.buffer)[marks + (index % 32)]).toBe(isRemoved ? 255 : 0);
        });
        expect(planeBytes(70, 3)).toBe(3 * (96 + 32));
      }),
    );
  });

  it('hides a reference from scans while its codes are overwritten', () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const written: (readonly [at: number, value: unknown])[] = [];
    const Bytes = Uint8Array;
    vi.stubGlobal('Uint8Array', function (...of: [ArrayBuffer, number, number]) {
      return new Proxy(new Bytes(...of), {
        set: (bytes, at, value) => {
          written.push([Number(at), value]);
          return Reflect.set(bytes, at, value);
        },
      });
    });
    const plane = new CodePlane(memory, 0, 32, 1);
    vi.unstubAllGlobals();
    plane.write(5, Bytes.of(255));
    plane.remove(5);
    const mark = 2 * 16 + 5;
    expect(written.filter(([at]) => at === mark)).toEqual([
      [mark, 0],
      [mark, 255],
    ]);
    written.length = 0;
    plane.erase(5);
    expect(written.map(([at]) => at)).toEqual([5, 16 + 5]);
    expect(new Bytes(memory.buffer)[5]).toBe(0);
  });
});
