/** What an import asks the policies, and the room that it leaves for record classes. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { importAdmission } from '../../src/cli/import-admission.ts';
import { MAX_CLASSES_PER_CONTRIBUTOR } from '../../src/gallery/record-classes.ts';
import type { ImportRefusal } from '../../src/store/imports.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { importFile } from '../../src/transfer/import/import.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { temporaryKeys } from '../keys.ts';
import { importOrder } from '../transfer/import/import-order.ts';
import { fileOf, lineOf, record } from '../transfer/import/record-files.ts';

const keys = temporaryKeys();
let cluster: TestCluster;
let store: Store;

beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());
beforeEach(async () => {
  const databaseUrl = await cluster.createDatabase();
  store = await openStore({ databaseUrl, dataDir: '', keys, log: () => undefined });
  return () => store.close();
});

/** A record of one face. */
const one = (externalId: string, changes: Parameters<typeof record>[1] = {}) => {
  const { samples, ...rest } = record(1, { externalId, ...changes });
  return { ...rest, samples: samples.slice(-1) };
};

async function imported(records: readonly ReturnType<typeof record>[], policies?: string) {
  const configuration = { policies } as Parameters<typeof importAdmission>[0]['configuration'];
  const admission = await importAdmission({ configuration, store });
  const file = fileOf('a.ndjson', Buffer.concat(records.map(lineOf)));
  const { digest, state } = await importFile(importOrder(store.imports, file, { admission }));
  const refusals: ImportRefusal[] = [];
  for await (const refusal of store.imports.refusals(digest)) refusals.push(refusal);
  return { state, refusals };
}

function policyFolder(text: string): string {
  const folder = temporaryDirectory();
  writeFileSync(join(folder, 'own.cedar'), text);
  return folder;
}

describe('an import', () => {
  const records = [
    one('a', { caveats: ['ORCON', 'POLICE-ONYL'] }),
    one('b', { caveats: ['X-ARMED', 'SECRET'] }),
    one('c', { contributor: 'closed' }),
    one('d'),
  ];

  it('refuses records with caveats that no policy reads, each by its place', async () => {
    const { state, refusals } = await imported(records);
    expect(state).toMatchObject({ records: 4, subjects: 3, refused: 1 });
    expect(refusals).toMatchObject([
      { record: 1, reason: 'CAVEAT_UNKNOWN', field: 'data.caveats[1]', externalId: 'a', contributor: 'agency' },
    ]);
  });

  it('asks the policies of the folder', async () => {
    const { state, refusals } = await imported(
      records,
      policyFolder(`@id("known")
        forbid (principal, action == Ridgewatch::Action::"see-record", resource)
        when { resource.caveats.contains("POLICE-ONYL") && resource.contributor != principal.agency };
        @id("closed")
        forbid (principal, action == Ridgewatch::Action::"change-record", resource)
        when { resource.contributor == "closed" };`),
    );
    expect(state).toMatchObject({ subjects: 3, refused: 1 });
    expect(refusals).toMatchObject([{ record: 3, reason: 'CONTRIBUTOR_NOT_PERMITTED', externalId: 'c' }]);
  });

  it('begins with no record while a policy is bad', async () => {
    const attempt = imported(records, policyFolder('permit (principal, action == Nothing, resource);'));
    await expect(attempt).rejects.toMatchObject({ reason: 'POLICIES_INVALID' });
    expect(await store.subjects.headSequence()).toBe(0);
  });

  it('leaves no more record classes than enrolment does, also over several imports', async () => {
    const filling = Array.from({ length: MAX_CLASSES_PER_CONTRIBUTOR - 1 }, (_, n) =>
      one(`filling-${n}`, { caveats: [`X-${n}`] }),
    );
    // The store refuses the second one, which must not take the last place.
    const taken = one('filling-0', { caveats: ['X-TAKEN'] });
    const last = one('last', { caveats: ['X-LAST'] });
    const beyond = one('beyond', { caveats: ['X-BEYOND'] });
    const first = await imported([...filling, taken]);
    expect(first.refusals).toMatchObject([{ record: filling.length + 1, reason: 'EXTERNAL_ID_TAKEN' }]);
    const { state, refusals } = await imported([
      last,
      beyond,
      one('known', { caveats: ['X-5'] }),
      one('other', { contributor: 'other', caveats: ['X-BEYOND'] }),
    ]);
    expect(state).toMatchObject({ subjects: 3, refused: 1 });
    expect(refusals).toMatchObject([
      { record: 2, reason: 'RECORD_CLASSES_EXHAUSTED', field: 'data.caveats', externalId: 'beyond' },
    ]);
    expect((await store.subjects.recordClasses()).length).toBe(MAX_CLASSES_PER_CONTRIBUTOR + 1);
  });
});
