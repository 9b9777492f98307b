/** People with one small face each, a gallery of them, and searches of its graphs. */
import type { CurrentGallery } from '../../src/gallery/active-gallery.ts';
import type { SubjectAttributes } from '../../src/gallery/catalogue.ts';
import { Gallery } from '../../src/gallery/gallery.ts';
import { CandidateGraphs, type GraphLimits } from '../../src/matching/graph/candidate-graphs.ts';
import type { GraphChoice } from '../../src/matching/graph/gallery-graphs.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { SHIPPED_CALIBRATIONS } from '../../src/matching/rates/calibrations.ts';
import { GraphSubjects } from '../../src/matching/search/graph-subjects.ts';
import type { Probe } from '../../src/matching/search/probe.ts';
import { SearchView } from '../../src/matching/search/search-view.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import type { FaceTemplate } from '../../src/templates/face-template.ts';
import { random } from '../prints.ts';
import { subjectAttributes } from '../subject-attributes.ts';
import { EVERYTHING } from '../../src/gallery/scope.ts';
import { named } from '../named-scope.ts';

export const DIMENSION = 48;
export const PARTITION = { modality: 'face', modelId: 'm', dimension: DIMENSION } as const;

/** Captures of a person are alike; their mean over people is not 0. */
export function faceOf(person: number, capture = 0): FaceTemplate {
  const [own, noise] = [random(person + 1), random(person * 1000 + capture + 7)];
  const values = Int8Array.from({ length: DIMENSION }, () => Math.round(6 + 70 * (own() - 0.5) + 20 * (noise() - 0.5)));
  return { modality: 'face', modelId: 'm', dimension: DIMENSION, quality: 0, values };
}

export function probeOf(person: number, capture = 5): Probe {
  const template = faceOf(person, capture);
  const packed = { modality: 'face', packed: packFace(template), modelId: 'm', dimension: DIMENSION } as const;
  return { sampleIndex: 0, viewIndex: 0, template, packed, calibration: SHIPPED_CALIBRATIONS.of(template) };
}

/** Enrols a person, or replaces the reference by another capture. */
export function enrol(gallery: Gallery, person: number, capture = 0, changes: Partial<SubjectAttributes> = {}): void {
  const packed = packFace(faceOf(person, capture));
  gallery.apply(gallery.version + 1, {
    kind: 'upsert',
    subjectId: `p${person}`,
    attributes: subjectAttributes(changes),
    references: [{ referenceId: `p${person}-${capture}`, partition: PARTITION, packed }],
  });
}

export function expunge(gallery: Gallery, person: number): void {
  gallery.apply(gallery.version + 1, { kind: 'expunge', subjectId: `p${person}` });
}

/** Removes all references of a person. */
export function dropReferences(gallery: Gallery, person: number): void {
  const attributes = subjectAttributes();
  gallery.apply(gallery.version + 1, { kind: 'upsert', subjectId: `p${person}`, attributes, references: [] });
}

/** @param capacity - references of a segment */
export function galleryOf(people: number, capacity = 256, clock?: () => number): Gallery {
  const gallery = new Gallery(gallerySizing(capacity), clock);
  for (let person = 0; person < people; person++) enrol(gallery, person);
  return gallery;
}

export function graphsFor(
  served: CurrentGallery,
  limits: Partial<GraphLimits> = {},
  onError: (error: unknown) => void = (error) => {
    throw error;
  },
  choice: GraphChoice = () => true,
): CandidateGraphs {
  return new CandidateGraphs(served, choice, onError, limits);
}

/** Subject ids in order. */
export async function nearest(
  graphs: CandidateGraphs,
  view: SearchView,
  probe: Probe,
  ef: number,
  signal = new AbortController().signal,
): Promise<string[]> {
  const subjects = await new GraphSubjects(graphs).nearest([probe], view, ef, signal);
  return subjects.map(({ subjectId }) => subjectId).sort();
}

/** Searches a gallery as it is now. */
export async function nearestNow(
  graphs: CandidateGraphs,
  gallery: Gallery,
  probe: Probe,
  ef: number,
  galleries: readonly string[] = [],
): Promise<string[]> {
  const view = new SearchView(gallery, [probe], named(galleries));
  try {
    return await nearest(graphs, view, probe, ef);
  } finally {
    view.close();
  }
}

/** Whether searches may use the graphs now. */
export function isCovered(graphs: CandidateGraphs, gallery: Gallery): boolean {
  const probe = probeOf(0);
  const view = new SearchView(gallery, [probe], EVERYTHING);
  try {
    return new GraphSubjects(graphs).covers([probe], view);
  } finally {
    view.close();
  }
}
