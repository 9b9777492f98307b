import { describe, expect, it } from 'vitest';
import { instantiateKernels, kernelHash, KERNEL_STATIC_BYTES } from '../../src/matching/kernels/kernels.ts';
import { ANGULAR_WEIGHTS, ARCTANGENTS, COSINES, SPATIAL_WEIGHTS, UNIT } from '../../src/matching/oracle/tables.ts';

const tables = { ANGULAR_WEIGHTS, ARCTANGENTS, COSINES, SPATIAL_WEIGHTS };
const TURN = 2 * Math.PI;

/** Every entry is its formula rounded. A tolerance of a whole unit would admit a typing error. */
function expectRounded(table: Int16Array, formula: (i: number) => number): void {
  table.forEach((value, i) => expect(Math.abs(value - formula(i)), `entry ${i}`).toBeLessThanOrEqual(0.5 + 1e-4));
}

/** Share of a normal density between two bounds by Simpson's rule, unlike the method that produced the table. */
function normalShare(from: number, to: number, deviation: number): number {
  const steps = 64;
  const width = (to - from) / steps;
  const density = (x: number) => Math.exp(-(x * x) / (2 * deviation * deviation)) / (deviation * Math.sqrt(TURN));
  let sum = density(from) + density(to);
  for (let i = 1; i < steps; i++) sum += density(from + i * width) * (i % 2 === 1 ? 4 : 2);
  return (sum * width) / 3;
}

describe('the tables', () => {
  it.each(Object.entries(tables))('%s are equal in the kernels and in the oracle', (name, table) => {
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
    const exports = instantiateKernels(memory) as unknown as Record<string, { value: number }>;
    const address = exports[name].value;
    expect(address + table.byteLength).toBeLessThanOrEqual(KERNEL_STATIC_BYTES);
    const view = new DataView(memory.buffer);
    expect(Array.from(table, (_, i) => view.getInt16(address + 2 * i, true))).toEqual([...table]);
  });

  it('equal the values of their formulas', () => {
    expectRounded(COSINES, (i) => Math.cos((i * TURN) / 256) * UNIT);
    expectRounded(ARCTANGENTS, (i) => (Math.atan(i / 256) * 256) / TURN);
    expectRounded(SPATIAL_WEIGHTS, (squared) => Math.exp(-squared / (2 * (28 / 3) ** 2)) * 4096);
    expectRounded(ANGULAR_WEIGHTS, (i) => {
      const distance = (i * TURN) / 768;
      return normalShare(distance - TURN / 12, distance + TURN / 12, TURN / 9) * 4096;
    });
  });

  it('list the cells of a cylinder within its radius', () => {
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
    const exports = instantiateKernels(memory) as unknown as Record<string, { value: number }>;
    const middle = (i: number) => (i + 0.5) * 17.5 - 70;
    const within = Array.from({ length: 64 }, (_, cell) => cell).filter(
      (cell) => Math.hypot(middle(cell >> 3), middle(cell & 7)) <= 70,
    );
    const bytes = new Uint8Array(memory.buffer, exports.DISC.value, within.length);
    expect([...bytes]).toEqual(within);
    expect(within).toHaveLength(52);
  });

  it('have the lengths that the kernels read', () => {
    expect(Object.values(tables).map(({ length }) => length)).toEqual([385, 257, 256, 785]);
  });
});

it('names the kernels by sixteen stable hexadecimal digits', () => {
  expect(kernelHash()).toMatch(/^[0-9a-f]{16}$/);
  expect(kernelHash()).toBe(kernelHash());
});
