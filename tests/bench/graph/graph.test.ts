import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import hnswlib from 'hnswlib-node';
import { afterAll, describe, expect, it } from 'vitest';
import buildGraph from '../../../bench/graph/build-worker.ts';
import { expungeSubjects } from '../../../bench/graph/deletion.ts';
import { FaceReferences } from '../../../bench/graph/face-references.ts';
import { FingerReferences } from '../../../bench/graph/finger-references.ts';
import { codeMethod, graphMethod } from '../../../bench/graph/methods.ts';
import { meanProducts } from '../../../src/matching/kernels/mean-products.ts';
import { principalDirections, project, wholeVectors, type Projection } from '../../../bench/graph/projection.ts';
import { compareMethods } from '../../../bench/graph/searches.ts';
import { drawStrangers, STRANGER_MODELS } from '../../../bench/people/face-strangers.ts';
import type { PositionGraph } from '../../../bench/graph/vector-graph.ts';
import {
  enrolledSample,
  firstSubjects,
  roomFor,
  type Sample,
  type VectorSet,
} from '../../../bench/graph/vector-set.ts';
import { faceTemplate } from '../../../bench/people/synthetic-face.ts';
import { FACE_DIMENSION } from '../../../fixtures/face.ts';
import { createPerson } from '../../../fixtures/person.ts';
import { Random } from '../../../src/random.ts';
import { VECTOR_SIZE } from '../../../src/matching/model/finger-vector-model.ts';
import { compareFacesReference } from '../../../src/matching/oracle/face-comparison.ts';

const SUBJECTS = 400;
const MATES = 60;
const folder = mkdtempSync(join(tmpdir(), 'ridgewatch-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const faceOf = (person: number, capture: number) =>
  faceTemplate(createPerson(0x9a4, person).faceEmbedding(capture)).values;

function someFaces(): VectorSet {
  const references = roomFor(SUBJECTS, FACE_DIMENSION);
  for (let row = 0; row < SUBJECTS; row++) references.set(faceOf(row, 0), row * FACE_DIMENSION);
  const probes = Array.from({ length: MATES }, (_, mate) => [faceOf(mate, 1)]);
  return {
    description: '',
    dimension: FACE_DIMENSION,
    subjects: SUBJECTS,
    positions: [references],
    kinds: [{ kind: 'faces', probes }],
  };
}

/** Vectors of the length and the deviation of candidate vectors; a probe is its mate with noise. */
function someFingers(): VectorSet {
  const random = new Random(0xf1);
  const positions = [2, 7].map(() => roomFor(SUBJECTS, VECTOR_SIZE).map(() => Math.round(28 * random.normal())));
  const probes = Array.from({ length: MATES }, (_, mate) =>
    positions.map((rows) =>
      rows.slice(mate * VECTOR_SIZE, (mate + 1) * VECTOR_SIZE).map((value) => value / 2 + 22 * random.normal()),
    ),
  );
  return {
    description: '',
    dimension: VECTOR_SIZE,
    subjects: SUBJECTS,
    positions: positions.map((rows) => {
      const shared = roomFor(SUBJECTS, VECTOR_SIZE);
      shared.set(rows);
      return shared;
    }),
    kinds: [{ kind: 'prints', probes }],
  };
}

const faces = someFaces();
const fingers = someFingers();
const probesOf = ({ kinds: [{ probes }] }: VectorSet) => probes;
const everyRow = Uint32Array.from({ length: SUBJECTS }, (_, row) => row);

/** By plain arithmetic. */
function similaritiesOf(set: VectorSet, probe: Sample): number[] {
  return Array.from({ length: set.subjects }, (_, row) => {
    const sample = enrolledSample(set, row);
    return probe.reduce((sum, vector, p) => sum + Math.max(0, Math.trunc(inner(vector, sample[p]) / 8)), 0);
  });
}

function graphsOf(set: VectorSet, name: string, projection: (references: Int8Array) => Projection): PositionGraph[] {
  return set.positions.map((references, p) => {
    const own = projection(references);
    const shape = { space: 'ip', links: 16, efConstruction: 100, seed: 1 } as const;
    const done = new Int32Array(1);
    const file = join(folder, `${name}-${p}`);
    buildGraph({ file, references, projection: own, shape, done });
    expect(done[0]).toBe(SUBJECTS);
    const index = new hnswlib.HierarchicalNSW(shape.space, own.size);
    index.readIndexSync(file);
    return { index, projection: own };
  });
}

describe('the scan of faces', () => {
  const references = new FaceReferences(faces);
  const scoresOf = ([probe]: Sample) =>
    Array.from({ length: SUBJECTS }, (_, row) => compareFacesReference(probe, enrolledSample(faces, row)[0]));

  it('finds the greatest score, and the number of others that have as great a one', () => {
    probesOf(faces).forEach((probe, mate) => {
      const scores = scoresOf(probe);
      const best = scores.indexOf(Math.max(...scores));
      expect(references.search(probe)).toBe(best);
      expect(references.mostSimilar(probe, everyRow)).toBe(best);
      for (const row of [mate, MATES])
        expect(references.othersBefore(probe, row)).toBe(scores.filter((score) => score >= scores[row]).length - 1);
    });
  });

  it('ranks no tied face first', () => {
    const twins = someFaces();
    twins.positions[0].copyWithin(0, FACE_DIMENSION, 2 * FACE_DIMENSION);
    expect(new FaceReferences(twins).othersBefore(enrolledSample(faces, 1), 0)).toBe(1);
  });
});

describe('the scans of fingers', () => {
  const references = new FingerReferences(fingers);

  it('add the similarities of both fingers, negative ones as 0', () => {
    for (const probe of probesOf(fingers).slice(0, 10)) {
      const similarities = similaritiesOf(fingers, probe);
      const order = [...everyRow].sort((a, b) => similarities[b] - similarities[a]);
      expect(references.search(probe)).toBe(order[0]);
      expect(references.mostSimilar(probe, Uint32Array.from(order.slice(5, 90)).sort())).toBe(order[5]);
      // Kernels divide by shifting: a sum may differ by a unit for each finger.
      expect(Math.abs(references.othersBefore(probe, order[200]) - 200)).toBeLessThan(5);
    }
  });

  it('choose as many by codes as wanted, the most similar ones first', () => {
    for (const probe of probesOf(fingers).slice(0, 10)) {
      const similarities = similaritiesOf(fingers, probe);
      const order = [...everyRow].sort((a, b) => similarities[b] - similarities[a]);
      const chosen = references.chooseByCodes(probe, 40);
      expect(chosen.length).toBeGreaterThanOrEqual(40);
      expect(chosen.length).toBeLessThan(80);
      expect([...chosen]).toEqual([...chosen].sort((a, b) => a - b));
      expect(chosen).toContain(order[0]);
      expect(order.slice(0, 20).filter((row) => chosen.includes(row)).length).toBeGreaterThan(12);
    }
  });

  it('never choose an expunged subject, whatever was chosen before', () => {
    const own = new FingerReferences(fingers);
    const [probe] = probesOf(fingers);
    expect([...own.chooseByCodes(probe, SUBJECTS)]).toEqual([...everyRow]);
    own.expunge(5);
    expect([...own.chooseByCodes(probe, SUBJECTS)]).toEqual([...everyRow].filter((row) => row !== 5));
  });
});

describe('a graph compared with the scans', () => {
  it('finds every mate that the scan ranks first when ef is the whole gallery', () => {
    const graphs = graphsOf(faces, 'whole', () => wholeVectors(FACE_DIMENSION));
    const references = new FaceReferences(faces);
    const graph = [1, SUBJECTS].map((ef) => graphMethod(references, graphs, ef));
    const figures = compareMethods(faces.kinds[0], SUBJECTS, references, { codes: [], graph }, 2);
    const [, everybody] = figures.graph;
    expect(figures.firstByScan).toBeGreaterThan(MATES / 2);
    expect(everybody).toMatchObject({ ef: SUBJECTS, listLength: SUBJECTS });
    expect(everybody.first).toMatchObject({ mates: figures.firstByScan, of: figures.firstByScan, share: 1 });
    expect(everybody.first.limits[0]).toBeLessThan(1);
    expect(figures.graph[0].first.mates).toBeLessThanOrEqual(figures.firstByScan);
  });

  it('unites the lists of two fingers, and is measured beside the codes', () => {
    const graphs = graphsOf(fingers, 'two', (rows) => principalDirections(rows, VECTOR_SIZE, 64));
    const references = new FingerReferences(fingers);
    const graph = [5, SUBJECTS].map((ef) => graphMethod(references, graphs, ef));
    const codes = [0.01, 1].map((share) => codeMethod(references, SUBJECTS, share));
    const figures = compareMethods(fingers.kinds[0], SUBJECTS, references, { codes, graph }, 1);
    expect(figures.firstByScan).toBeGreaterThan(MATES / 2);
    expect(figures.graph[0].listLength).toBeGreaterThan(5);
    expect(figures.graph[0].listLength).toBeLessThanOrEqual(10);
    for (const all of [figures.graph[1], figures.codes[1]]) {
      expect(all.first.share).toBe(1);
      expect(all.compared.share).toBe(1);
      expect(all.listLength).toBe(SUBJECTS);
    }
    for (const { milliseconds, timesFaster } of [...figures.graph, ...figures.codes]) {
      expect(milliseconds).toBeGreaterThan(0);
      expect(timesFaster).toBeGreaterThan(0);
    }
  });

  it('never returns an expunged subject, and keeps nothing of its vectors', () => {
    for (const [name, set, references] of [
      ['faces', faces, new FaceReferences(someFaces())],
      ['fingers', fingers, new FingerReferences(fingers)],
    ] as const) {
      const graphs = graphsOf(set, `thinned-${name}`, (rows) => principalDirections(rows, set.dimension, 64));
      const method = graphMethod(references, graphs, SUBJECTS);
      const figures = expungeSubjects(set, references, graphs, [method], 0.2);
      expect(figures).toMatchObject({ expunged: SUBJECTS / 5, returned: 0, kept: 0 });
      const [{ before, after }] = figures.recall;
      expect(before.of).toBeGreaterThan(MATES / 4);
      expect(before.of).toBeLessThanOrEqual(MATES / 2);
      expect(after.share).toBe(1);
      // Every second mate was expunged: the scans do not find it either.
      expect(references.search(probesOf(set)[1])).not.toBe(1);
      expect(references.search(probesOf(set)[0])).toBe(0);
      expect(references.othersBefore(probesOf(set)[1], 1)).toBe(SUBJECTS - 1);
    }
  });
});

describe('a smaller gallery', () => {
  it('has the first subjects of the larger one', () => {
    const smaller = firstSubjects(fingers, 50);
    expect(smaller.positions.map(({ length }) => length)).toEqual([50 * VECTOR_SIZE, 50 * VECTOR_SIZE]);
    expect(enrolledSample(smaller, 49)).toEqual(enrolledSample(fingers, 49));
    expect(probesOf(smaller)).toEqual(probesOf(fingers).slice(0, 50));
  });
});

describe('principal directions', () => {
  const [references] = faces.positions;
  const rows = Array.from({ length: SUBJECTS }, (_, row) => enrolledSample(faces, row)[0]);
  const centre = Float64Array.from(
    { length: FACE_DIMENSION },
    (_, k) => rows.reduce((sum, row) => sum + row[k], 0) / SUBJECTS,
  );
  const moved = (vector: Int8Array) => Float64Array.from(vector, (value, k) => value - centre[k]);

  it('are orthogonal, of unit length, and ordered by the variance they hold', () => {
    const size = 20;
    const { directions, variance } = principalDirections(references, FACE_DIMENSION, size);
    const own = Array.from({ length: size }, (_, row) =>
      directions.subarray(row * FACE_DIMENSION, (row + 1) * FACE_DIMENSION),
    );
    const held = (direction: Float64Array) =>
      rows.map((row) => inner(direction, moved(row)) ** 2).reduce((sum, x) => sum + x);
    own.forEach((a, i) => own.forEach((b, j) => expect(inner(a, b)).toBeCloseTo(i === j ? 1 : 0, 9)));
    const lengths = own.map(held);
    expect(lengths).toEqual([...lengths].sort((a, b) => b - a));
    const all = rows.map((row) => inner(moved(row), moved(row))).reduce((sum, x) => sum + x);
    expect(variance).toBeCloseTo(lengths.reduce((sum, x) => sum + x) / all, 6);
  });

  it('preserve cosines about the mean when there are as many directions as components', () => {
    const [a, b] = [probesOf(faces)[0][0], rows[0]];
    const all = principalDirections(references, FACE_DIMENSION, FACE_DIMENSION);
    expect(inner(project(all, a), project(all, b))).toBeCloseTo(cosine(moved(a), moved(b)), 9);
    const whole = wholeVectors(FACE_DIMENSION);
    expect(inner(project(whole, a), project(whole, b))).toBeCloseTo(cosine(a, b), 9);
  });

  it('leave a vector of zeros as it is', () => {
    expect(project(wholeVectors(4), new Int8Array(4))).toEqual([0, 0, 0, 0]);
  });
});

describe('synthetic non-mates', () => {
  const dimension = 4;
  const random = new Random(3);
  const real = Array.from({ length: 300 }, () => {
    const [a, b] = [random.normal(), random.normal()];
    return Float32Array.of(1 + a, a + b, b / 2, -a / 3);
  });
  const people = real.map((embedding, person) => ({ embedding, isSearched: person % 3 === 0 }));
  const drawn: Float32Array[] = [];
  const keep = (embedding: Float32Array) => {
    drawn.push(embedding);
    return Int8Array.from(embedding, Math.round);
  };

  it('have the mean and covariance of the real ones', () => {
    drawStrangers(people, 20_000, keep);
    const [made, given] = [drawn, real].map((rows) => {
      const mean = Float64Array.from(
        { length: dimension },
        (_, k) => rows.reduce((sum, row) => sum + row[k], 0) / rows.length,
      );
      return { mean, covariance: meanProducts(rows, mean).to1DArray() };
    });
    made.mean.forEach((value, k) => expect(Math.abs(value - given.mean[k])).toBeLessThan(0.05));
    made.covariance.forEach((value, k) => expect(Math.abs(value - given.covariance[k])).toBeLessThan(0.08));
  });

  it.each(STRANGER_MODELS)('do not depend on the number drawn: %s', (model) => {
    const quantise = (embedding: Float32Array) => Int8Array.from(embedding, (x) => Math.round(20 * x));
    const few = drawStrangers(people, 10, quantise, model);
    expect(few.length).toBe(10 * dimension);
    expect(drawStrangers(people, 30, quantise, model).subarray(0, 10 * dimension)).toEqual(few);
  });
});

function inner(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k] * b[k];
  return sum;
}

function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return inner(a, b) / Math.sqrt(inner(a, a) * inner(b, b));
}
