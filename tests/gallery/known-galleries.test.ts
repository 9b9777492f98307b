/** How a follower learns of galleries that are empty again before it reads the change. */
import { describe, expect, it } from 'vitest';
import { ChangeFollower, type ChangeSource } from '../../src/gallery/change-follower.ts';
import { ActiveGallery } from '../../src/gallery/active-gallery.ts';
import type { Change, SubjectWithReferences } from '../../src/store/records.ts';
import { UNLIMITED } from '../../src/store/records.ts';

const SIZING = { capacity: 3, maxRecordBytes: 64, scratchBytes: 256, vectorBytes: 0 };

function subject(version: number, galleries: readonly string[]): SubjectWithReferences {
  const times = { createTime: new Date(0), updateTime: new Date(0) };
  const facts = { contributor: 'agency', externalId: undefined, caveats: [], provenance: 'field' as const };
  return {
    subject: { subjectId: 's', version, galleries: [...galleries], ...UNLIMITED, ...facts, ...times },
    references: [],
  };
}

const upsert = (seq: number): Change => ({ seq, kind: 'upsert', subjectId: 's', version: seq });
const expunge = (seq: number): Change => ({ seq, kind: 'expunge', subjectId: 's', version: seq });

/** @param present - the subject when it is read */
function follow(changes: readonly Change[], present: SubjectWithReferences | undefined) {
  let asked = 0;
  const source: ChangeSource = {
    readChanges: (after, limit) => Promise.resolve(changes.slice(after, after + limit)),
    readSubjects: () => Promise.resolve({ subjects: present === undefined ? [] : [present], unreadable: [] }),
    galleries: () => Promise.resolve([...Array<string>(++asked).fill('first'), 'second']),
    snapshot: () => Promise.reject(new Error('not asked for')),
  };
  const served = new ActiveGallery({ finger: SIZING, face: () => SIZING });
  const follower = new ChangeFollower(served, source, () => Promise.resolve([]));
  return { served, asked: () => asked, advance: () => follower.advanceTo(changes.length) };
}

describe('a gallery that its subject left before the follower read the change', () => {
  it.each([
    ['moved to another gallery', [upsert(1), upsert(2)], subject(2, ['second'])],
    ['expunged', [upsert(1), expunge(2)], undefined],
  ])('is known: %s', async (_, changes, present) => {
    const { served, advance } = follow(changes, present);
    await advance();
    expect(served.current.version).toBe(2);
    for (const name of ['first', 'second']) expect(served.current.knows(name)).toBe(true);
    expect(served.current.knows('third')).toBe(false);
  });

  it('is not queried from the store when the subject is unchanged since', async () => {
    const { served, asked, advance } = follow([upsert(1)], subject(1, ['own']));
    await advance();
    expect([served.current.knows('own'), asked()]).toEqual([true, 0]);
  });
});
