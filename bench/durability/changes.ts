/** Changes sent while the service may be killed at any moment, and a journal of their answers. */
import { Metadata } from '@grpc/grpc-js';
import { createPerson } from '../../fixtures/person.ts';
import {
  type EnrollResponse,
  type GalleryClient,
  type Subject,
  type UpdateSubjectRequest,
  type UpdateSubjectResponse,
} from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { demoSamples } from '../../src/service/demo-gallery.ts';
import { benchData } from '../service/subject-data.ts';
import { SEEDS } from '../harness/seeds.ts';
import { promised } from '../service/process.ts';

const DEADLINE_MS = 10_000;

/** Acknowledged changes, and changes that were only sent. */
export class Journal {
  /** Subject id by person. */
  readonly enrolled = new Map<number, string>();
  readonly expunged = new Set<string>();
  /** Expungings without an answer: their result is unknown. */
  readonly maybeExpunged = new Set<string>();
  /** By subject: the last update acknowledged, and the last sent. */
  readonly updates = new Map<string, { acknowledged: number; sent: number }>();
  #person = 0;

  nextPerson(): number {
    return this.#person++;
  }
}

/** Enrols a subject; every third is updated, samples included, and every fifth expunged. @throws when a call fails */
export async function change(gallery: GalleryClient, journal: Journal): Promise<void> {
  const person = journal.nextPerson();
  const request = { data: dataOf(person, 0), samples: samplesOf(person), clientRequestId: '' };
  const { subject } = await promised<EnrollResponse>((callback) =>
    gallery.enroll(request, new Metadata(), { deadline: Date.now() + DEADLINE_MS }, callback),
  );
  const subjectId = subject?.subjectId ?? '';
  journal.enrolled.set(person, subjectId);
  if (person % 3 === 0) await update(gallery, journal, person, subjectId);
  if (person % 5 === 0) await expunge(gallery, journal, subjectId);
}

async function update(gallery: GalleryClient, journal: Journal, person: number, subjectId: string): Promise<void> {
  for (let version = 1; version <= 2; version++) {
    const { acknowledged = 0 } = journal.updates.get(subjectId) ?? {};
    journal.updates.set(subjectId, { acknowledged, sent: version });
    const request: UpdateSubjectRequest = {
      subjectId,
      data: dataOf(person, version),
      updateMask: ['data.caveats', ...(version === 2 ? ['samples'] : [])],
      samples: version === 2 ? samplesOf(person) : [],
      expectedVersion: 0,
    };
    await promised<UpdateSubjectResponse>((callback) =>
      gallery.updateSubject(request, new Metadata(), { deadline: Date.now() + DEADLINE_MS }, callback),
    );
    journal.updates.set(subjectId, { acknowledged: version, sent: version });
  }
}

async function expunge(gallery: GalleryClient, journal: Journal, subjectId: string): Promise<void> {
  journal.maybeExpunged.add(subjectId);
  await promised((callback) =>
    gallery.expungeSubject(
      { subjectId, reason: 'bench' },
      new Metadata(),
      { deadline: Date.now() + DEADLINE_MS },
      callback,
    ),
  );
  journal.maybeExpunged.delete(subjectId);
  journal.expunged.add(subjectId);
}

/** The last update applied to a subject. */
export function versionOf({ data }: Subject): number {
  return Number(data?.caveats[0]?.slice(1) ?? 0);
}

function dataOf(person: number, version: number) {
  return { ...benchData(), externalId: `p-${person}`, caveats: version === 0 ? [] : [`V${version}`] };
}

function samplesOf(person: number) {
  return demoSamples(createPerson(SEEDS.enrolled, person), 0);
}
