/** Enrolments and changes of subjects need room for their record class. */
import { describe, expect, it } from 'vitest';
import { ActiveGallery } from '../../src/gallery/active-gallery.ts';
import { ChangeFollower, type ChangeSource } from '../../src/gallery/change-follower.ts';
import { MAX_CLASSES_PER_CONTRIBUTOR } from '../../src/gallery/record-classes.ts';
import { EnrollRequest } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { packEnrolment, requireRoomForClass, subjectColumns } from '../../src/enrolment/enrolment.ts';
import { Failure } from '../../src/failure.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import type { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { subjectAttributes } from '../subject-attributes.ts';

/** A follower whose gallery has all the classes that the contributor `full` may have, and subject `s` of one of them. */
function followerOf() {
  const served = new ActiveGallery(gallerySizing(5));
  for (let n = 0; n < MAX_CLASSES_PER_CONTRIBUTOR; n++) {
    const attributes = subjectAttributes({ contributor: 'full', caveats: [`C${n}`] });
    served.current.load(n === 0 ? 's' : `s${n}`, attributes, []);
  }
  served.current.load('t', subjectAttributes({ contributor: 'other' }), []);
  const source = {} as ChangeSource;
  return { served, follower: new ChangeFollower(served, source, () => Promise.resolve([])) };
}

const refusal = (act: () => unknown) => {
  try {
    act();
  } catch (error) {
    if (error instanceof Failure) return [error.kind, error.reason, error.detail.field];
    throw error;
  }
  return undefined;
};

describe('room for a record class', () => {
  const exhausted = ['resource-exhausted', 'RECORD_CLASSES_EXHAUSTED', 'data.caveats'];

  it('is required before the samples of an enrolment are packed', async () => {
    const { follower } = followerOf();
    // Packing would fail in another way.
    const pool = undefined as unknown as WorkerPool;
    const enrol = (contributor: string, caveats: string[]) => {
      const request = EnrollRequest.fromPartial({ data: { contributor, caveats, galleries: ['g'] } });
      const { data } = request;
      if (data === undefined) throw new Error('no data');
      expect(subjectColumns(data).caveats).toEqual(caveats);
      return packEnrolment({ pool, follower }, { request, data, samples: [] }).catch((error: unknown) => error);
    };
    expect(await enrol('full', ['NEW'])).toMatchObject({ reason: 'RECORD_CLASSES_EXHAUSTED' });
    expect(await enrol('empty', ['NEW'])).not.toMatchObject({ reason: 'RECORD_CLASSES_EXHAUSTED' });
  });

  it('is there for a class that others have, and again when one has no subject any more', () => {
    const { served, follower } = followerOf();
    const plan = (contributor: string, caveats: readonly string[]) =>
      refusal(() => requireRoomForClass(follower, subjectAttributes({ contributor, caveats })));
    expect(plan('full', ['NEW'])).toEqual(exhausted);
    expect(plan('full', ['C5', 'C5'])).toBeUndefined();
    expect(plan('other', ['NEW'])).toBeUndefined();
    served.current.apply(1, { kind: 'expunge', subjectId: 's1' });
    expect(plan('full', ['NEW'])).toBeUndefined();
  });
});
