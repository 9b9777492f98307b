import { expect, it } from 'vitest';
import { Gallery } from '../../src/gallery/gallery.ts';
import { GraphSubjects } from '../../src/matching/search/graph-subjects.ts';
import { withCandidateBytes } from '../../src/matching/kernels/similarity.ts';
import { CODE_BYTES, VECTOR_SIZE } from '../../src/matching/model/finger-vector-model.ts';
import { SHIPPED_CALIBRATIONS } from '../../src/matching/rates/calibrations.ts';
import type { Probe } from '../../src/matching/search/probe.ts';
import { SearchView } from '../../src/matching/search/search-view.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import type { FingerPosition } from '../../src/templates/finger-template.ts';
import { random, somePrint } from '../prints.ts';
import { subjectAttributes } from '../subject-attributes.ts';
import { graphsFor } from './vector-people.ts';
import { EVERYTHING } from '../../src/gallery/scope.ts';

const ids = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `p${from + i}`).sort();
const LENGTH = 64;
const fingerOf = (person: number, position: number, capture = 0) => {
  const [own, noise] = [random(person * 20 + position), random(person * 9000 + position * 10 + capture)];
  const vector = Int8Array.from({ length: VECTOR_SIZE }, () => Math.round(60 * (own() - 0.5) + 20 * (noise() - 0.5)));
  return withCandidateBytes(new Uint8Array(LENGTH), vector, new Uint8Array(CODE_BYTES));
};
const probe = (person: number, position: FingerPosition): Probe => {
  const template = { ...somePrint(1), position };
  const packed = { modality: 'finger', packed: fingerOf(person, position, 3) } as const;
  return { sampleIndex: 0, viewIndex: 0, template, packed, calibration: SHIPPED_CALIBRATIONS.of(template) };
};

it('searches the graphs of fingers for every probe, in each partition that it is compared with', async () => {
  const gallery = new Gallery(gallerySizing(512));
  for (let person = 0; person < 320; person++) {
    const reference = (position: FingerPosition, of: number) => ({
      referenceId: `r${person}-${position}`,
      partition: { modality: 'finger', position } as const,
      packed: fingerOf(person, of),
    });
    // Of the last people it is not known which finger it is.
    const references = person < 310 ? [reference(2, 2), reference(7, 7)] : [reference(0, 2)];
    const change = { kind: 'upsert', subjectId: `p${person}`, attributes: subjectAttributes(), references } as const;
    gallery.apply(gallery.version + 1, change);
  }
  const graphs = graphsFor({ current: gallery });
  const subjects = new GraphSubjects(graphs);
  await graphs.run();
  expect(graphs.figures.map(({ partition, references }) => [partition, references])).toEqual([
    ['finger:2', 310],
    ['finger:7', 310],
  ]);
  const probes = [probe(40, 2), probe(50, 7)];
  const unpacked = { ...probe(60, 2), packed: undefined };
  const view = new SearchView(gallery, [...probes, unpacked], EVERYTHING);
  const { signal } = new AbortController();
  const found = await subjects.nearest([...probes, unpacked], view, 1, signal);
  expect(found.map(({ subjectId }) => subjectId).sort()).toEqual(['p40', 'p50', ...ids(310, 320)].sort());
  expect(subjects.covers([...probes, unpacked], view)).toBe(true);
  const [one, two] = [subjects.expectedMs(probes.slice(0, 1), view, 50), subjects.expectedMs(probes, view, 50)];
  expect(one).toBeGreaterThan(0);
  expect(two).toBeCloseTo(2 * one, 9);
  expect(subjects.expectedMs(probes, view, 100)).toBeCloseTo(2 * two, 9);
  expect(subjects.expectedMs([unpacked], view, 100)).toBe(0);
  view.close();
  await graphs.stop();
});
