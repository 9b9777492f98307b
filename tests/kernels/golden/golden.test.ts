import { describe, expect, it } from 'vitest';
import { DirectComparer } from '../../../src/matching/workers/direct-comparison.ts';
import type { PackedProbe } from '../../../src/matching/kernels/packed-probe.ts';
import { compareFacesReference } from '../../../src/matching/oracle/face-comparison.ts';
import { compareFingersReference } from '../../../src/matching/oracle/finger-comparison.ts';
import { encodeFingerReference } from '../../../src/matching/oracle/finger-encoding.ts';
import { CANDIDATE_BYTES } from '../../../src/matching/model/finger-vector-model.ts';
import { WorkerPool } from '../../../src/matching/workers/worker-pool.ts';
import { buildCases } from '../builds.ts';
import { everyPair, faceVectors, fingerTemplates, hashOf, readInputs, readResults } from './golden.ts';

const inputs = readInputs();
const { packedFingers, fingerScores, faceScores } = readResults();
const templates = fingerTemplates(inputs);
const faces = faceVectors(inputs);
const faceProbes = faces.map((values): PackedProbe => {
  return { modality: 'face', modelId: 'model', packed: new Uint8Array(values.buffer), dimension: values.length };
});

it('are symmetric in probe and reference', () => {
  for (const scores of [fingerScores, faceScores]) {
    expect(scores.map((_, i) => scores.map((row) => row[i]))).toEqual(scores);
  }
});

it('equal those of the TypeScript oracle', () => {
  const packed = templates.map((template) => encodeFingerReference(template) as Uint8Array);
  expect(packed.map(hashOf)).toEqual(packedFingers);
  expect(everyPair(packed, compareFingersReference)).toEqual(fingerScores);
  expect(everyPair(faces, compareFacesReference)).toEqual(faceScores);
});

describe.each(buildCases)('the kernels, $title', ({ build, skipped }) => {
  it.skipIf(skipped)('give the golden scores', () => {
    const comparer = new DirectComparer(build);
    const packed = templates.map((template) => comparer.pack(template) as PackedProbe);
    expect(packed.map((probe) => hashOf(probe.packed))).toEqual(packedFingers);
    const compare = (a: PackedProbe, b: PackedProbe) => comparer.comparePacked(a, b);
    expect(everyPair(packed, compare)).toEqual(fingerScores);
    expect(everyPair(faceProbes, compare)).toEqual(faceScores);
  });
});

describe.each([1, 2])('%i worker threads', (size) => {
  it('give the golden scores', async () => {
    const pool = new WorkerPool(size);
    try {
      // Behind each is its candidate vector.
      const packed = ((await pool.encode(templates)) as Uint8Array[]).map((bytes) =>
        bytes.subarray(0, -CANDIDATE_BYTES),
      );
      expect(packed.map(hashOf)).toEqual(packedFingers);
      const fingers = packed.map((bytes): PackedProbe => ({ modality: 'finger', packed: bytes }));
      // A task per probe, to give every thread some.
      const scoresOf = async (all: readonly PackedProbe[]) => {
        const tasks = all.map((probe) =>
          pool.crossCompare({ kind: 'cross-compare', probes: [probe], references: all }),
        );
        return (await Promise.all(tasks)).flatMap(({ scores }) => scores);
      };
      expect(await scoresOf(fingers)).toEqual(fingerScores);
      expect(await scoresOf(faceProbes)).toEqual(faceScores);
    } finally {
      await pool.close();
    }
  });
});
