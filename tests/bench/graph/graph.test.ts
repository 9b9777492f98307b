import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import hnswlib from 'hnswlib-node';
import { afterAll, describe, expect, it } from 'vitest';
import buildGraph from '../../../bench/graph/build-worker.ts';
import { ExactScan } from '../../../bench/graph/exact-scan.ts';
import type { FaceSet } from '../../../bench/graph/face-set.ts';
import { meanProducts } from '../../../bench/graph/moments.ts';
import { principalDirections, project, wholeFaces, type Projection } from '../../../bench/graph/projection.ts';
import { compareWithScan, seekDeleted } from '../../../bench/graph/searches.ts';
import { drawStrangers } from '../../../bench/graph/strangers.ts';
import { faceTemplate } from '../../../bench/people/synthetic-face.ts';
import { FACE_DIMENSION } from '../../../fixtures/face.ts';
import { createPerson } from '../../../fixtures/person.ts';
import { Random } from '../../../fixtures/random.ts';
import { compareFacesReference } from '../../../src/matching/oracle/face-comparison.ts';

const SUBJECTS = 400;
const MATES = 60;
const folder = mkdtempSync(join(tmpdir(), 'ridgewatch-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const faceOf = (person: number, capture: number) =>
  faceTemplate(createPerson(0x9a4, person).faceEmbedding(capture)).values;
const rowOf = ({ references, dimension }: FaceSet, row: number) =>
  references.subarray(row * dimension, (row + 1) * dimension);

function someFaces(): FaceSet {
  const references = new Int8Array(new SharedArrayBuffer(SUBJECTS * FACE_DIMENSION));
  for (let row = 0; row < SUBJECTS; row++) references.set(faceOf(row, 0), row * FACE_DIMENSION);
  const probes = Array.from({ length: MATES }, (_, mate) => faceOf(mate, 1));
  return { description: '', dimension: FACE_DIMENSION, references, probes };
}
const faces = someFaces();

function graphOf(name: string, projection: Projection) {
  const shape = { space: 'ip', links: 16, efConstruction: 100, seed: 1 } as const;
  const done = new Int32Array(1);
  const file = join(folder, name);
  buildGraph({ file, references: faces.references, projection, shape, done });
  expect(done[0]).toBe(SUBJECTS);
  const index = new hnswlib.HierarchicalNSW(shape.space, projection.size);
  index.readIndexSync(file);
  return index;
}

describe('the exact scan of the bench', () => {
  const scan = new ExactScan(faces);
  const scoresOf = (probe: Int8Array) =>
    Array.from({ length: SUBJECTS }, (_, row) => compareFacesReference(probe, rowOf(faces, row)));

  it('finds the greatest score, and whether a mate alone has it', () => {
    faces.probes.forEach((probe, mate) => {
      const scores = scoresOf(probe);
      const most = Math.max(...scores);
      expect(scan.search(probe)).toBe(scores.indexOf(most));
      expect(scan.isFirst(probe, mate)).toBe(scores[mate] === most);
      expect(scan.isFirst(probe, MATES)).toBe(scores[MATES] === most);
    });
  });

  it('ranks no tied face first', () => {
    const twins = someFaces();
    twins.references.copyWithin(0, FACE_DIMENSION, 2 * FACE_DIMENSION);
    expect(new ExactScan(twins).isFirst(rowOf(faces, 1), 0)).toBe(false);
  });
});

describe('a graph compared with the scan', () => {
  const projection = wholeFaces(FACE_DIMENSION);
  it('finds every mate that the scan ranks first when ef is the whole gallery', () => {
    const index = graphOf('whole', projection);
    const figures = compareWithScan(faces, new ExactScan(faces), index, projection, [1, SUBJECTS]);
    const [, everybody] = figures.graph;
    expect(figures.firstByScan).toBeGreaterThan(MATES / 2);
    expect(everybody.first).toMatchObject({ mates: figures.firstByScan, share: 1 });
    expect(everybody.first.limits[0]).toBeLessThan(1);
    for (const { first, listed } of figures.graph) expect(listed.mates).toBeGreaterThanOrEqual(first.mates);
  });

  it('never returns a deleted subject', () => {
    const index = graphOf('thinned', projection);
    const { deleted, returned, shortLists } = seekDeleted(faces, index, projection, SUBJECTS, MATES);
    expect(deleted).toBeGreaterThan(MATES / 2);
    expect({ returned, shortLists }).toEqual({ returned: 0, shortLists: 0 });
  });
});

describe('principal directions', () => {
  it('are orthogonal, of unit length, and ordered by the variance they hold', () => {
    const size = 20;
    const { directions } = principalDirections(faces, size);
    const rows = Array.from({ length: size }, (_, row) =>
      directions?.subarray(row * FACE_DIMENSION, (row + 1) * FACE_DIMENSION),
    ) as Float64Array[];
    const held = (row: Float64Array) =>
      Array.from({ length: SUBJECTS }, (_, face) => inner(row, rowOf(faces, face)) ** 2).reduce((sum, x) => sum + x);
    rows.forEach((a, i) => rows.forEach((b, j) => expect(inner(a, b)).toBeCloseTo(i === j ? 1 : 0, 9)));
    const lengths = rows.map(held);
    expect(lengths).toEqual([...lengths].sort((a, b) => b - a));
  });

  it('preserve inner products when there are as many directions as components', () => {
    const [a, b] = [faces.probes[0], rowOf(faces, 0)];
    const all = principalDirections(faces, FACE_DIMENSION);
    const cosine = inner(a, b) / Math.sqrt(inner(a, a) * inner(b, b));
    expect(inner(project(all, a), project(all, b))).toBeCloseTo(cosine, 9);
    expect(inner(project(wholeFaces(FACE_DIMENSION), a), project(wholeFaces(FACE_DIMENSION), b))).toBeCloseTo(
      cosine,
      1,
    );
  });
});

describe('synthetic non-mates', () => {
  const dimension = 4;
  const random = new Random(3);
  const real = Array.from({ length: 300 }, () => {
    const [a, b] = [random.normal(), random.normal()];
    return Float32Array.of(1 + a, a + b, b / 2, -a / 3);
  });
  const drawn: Float32Array[] = [];
  const keep = (embedding: Float32Array) => {
    drawn.push(embedding);
    return Int8Array.from(embedding, Math.round);
  };

  it('have the mean and covariance of the real ones', () => {
    drawStrangers(real, 20_000, keep);
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

  it('do not depend on the number drawn', () => {
    const quantise = (embedding: Float32Array) => Int8Array.from(embedding, (x) => Math.round(20 * x));
    const few = drawStrangers(real, 10, quantise);
    expect(few.length).toBe(10 * dimension);
    expect(drawStrangers(real, 30, quantise).subarray(0, 10 * dimension)).toEqual(few);
  });
});

function inner(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k] * b[k];
  return sum;
}
