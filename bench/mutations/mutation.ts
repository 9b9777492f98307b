import type { Random } from '../../src/random.ts';

/** Boundary values, on which programs fail most often. */
const TELLING_BYTES = [0, 1, 0x7f, 0x80, 100, 101, 179, 180, 253, 254, 255];
/** Bytes before the first minutia, where a change has more effect. */
const HEADER_BYTES = 34;
const MAX_STEPS = 4;
const MAX_ADDED = 64;

type Step = (bytes: Uint8Array, random: Random) => Uint8Array;

const below = (random: Random, limit: number) => random.below(limit);

function changed(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  if (copy.length > 0) copy[at % copy.length] = value;
  return copy;
}

function spliced(bytes: Uint8Array, at: number, removed: number, added: Uint8Array): Uint8Array {
  return Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at + removed)]);
}

const STEPS: readonly Step[] = [
  (bytes, random) => changed(bytes, below(random, HEADER_BYTES), below(random, 256)),
  (bytes, random) =>
    changed(bytes, below(random, HEADER_BYTES), TELLING_BYTES[below(random, TELLING_BYTES.length)] ?? 0),
  (bytes, random) => changed(bytes, below(random, bytes.length), below(random, 256)),
  (bytes, random) =>
    changed(bytes, below(random, bytes.length), TELLING_BYTES[below(random, TELLING_BYTES.length)] ?? 0),
  (bytes, random) => {
    const at = below(random, bytes.length);
    return changed(bytes, at, (bytes[at] ?? 0) ^ (1 << below(random, 8)));
  },
  (bytes, random) => bytes.slice(0, below(random, bytes.length + 1)),
  (bytes, random) => spliced(bytes, bytes.length, 0, new Uint8Array(below(random, MAX_ADDED))),
  (bytes, random) => spliced(bytes, below(random, bytes.length + 1), 0, Uint8Array.of(below(random, 256))),
  (bytes, random) => spliced(bytes, below(random, bytes.length), 1 + below(random, 6), new Uint8Array(0)),
  (bytes, random) => {
    const from = below(random, bytes.length);
    return spliced(bytes, below(random, bytes.length), 0, bytes.slice(from, from + below(random, MAX_ADDED)));
  },
  (bytes) => Uint8Array.from(bytes).reverse(),
];

/** A copy of the bytes with one or a few mutations. */
export function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  let damaged = bytes;
  for (let left = 1 + below(random, MAX_STEPS); left > 0; left--) {
    // Heavy damage is detected early and tests little.
    const isHarsh = random.uniform() < 0.1;
    const step = STEPS[below(random, isHarsh ? STEPS.length : 5)];
    if (step !== undefined) damaged = step(damaged, random);
  }
  return damaged;
}
