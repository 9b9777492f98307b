/** Gives all rows of a store their MACs, at its first start and after a rotation of the keys. */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { ChangeSigning } from './change-signing.ts';
import { ClientSigning } from './client-signing.ts';
import type { StoreLog } from './database-server.ts';
import { rowsUnsigned } from './migrations.ts';
import { HistorySigning } from './history-signing.ts';
import type { DamagedReference } from './records.ts';
import { RowSigning } from './row-signing.ts';
import type { SignedTable } from './signed-mark.ts';

/** Rows between two progress messages. */
const REPORTED_EVERY = 50_000;
const WHAT: Readonly<Record<SignedTable, readonly [string, string]>> = {
  subject: ['the rows', 'the rows of # subjects'],
  change: ['the changes', '# changes'],
  client: ['the clients', '# clients'],
  subject_history: ['the histories of subjects', '# rows of histories'],
};

function signings(pool: pg.Pool, keys: Keys) {
  return [
    new RowSigning(pool, keys),
    new ChangeSigning(pool, keys),
    new ClientSigning(pool, keys),
    new HistorySigning(pool, keys),
  ];
}

/**
 * Signs what an earlier version stored without MACs. In a store that was signed already, such rows are none of an
 * earlier version: they stay as they are, and are damaged.
 * @param schema - `keep`: another process may be signing them now
 * @param sealPlain - encrypts the plain templates of an earlier version; called before subjects are signed
 * @throws Failure SCHEMA_TOO_OLD
 */
export async function signStore(
  pool: pg.Pool,
  keys: Keys,
  log: StoreLog,
  schema: 'upgrade' | 'keep',
  sealPlain: () => Promise<void>,
): Promise<void> {
  for (const signing of signings(pool, keys)) {
    const state = await signing.state();
    const [rows, count] = WHAT[signing.table];
    if (state === 'mark-removed') {
      const message = `the database no longer says that ${rows} were signed, and the data directory does: its mark was removed from the database; rows without a MAC are damaged`;
      log({ level: 'error', message });
    }
    if (state !== 'unsigned' || !(await signing.hasUnsigned())) {
      await signing.mark();
      continue;
    }
    if (schema === 'keep') throw rowsUnsigned();
    if (signing.table === 'subject') await sealPlain();
    log({ level: 'info', message: `signing ${rows} that an earlier version stored` });
    let told = 0;
    const signed = await signing.signAll((done) => {
      if (done < told + REPORTED_EVERY) return;
      told = done;
      log({ level: 'info', message: `signed ${count.replace('#', String(done))} so far` });
    });
    const message = `signed ${count.replace('#', String(signed))} that an earlier version had stored`;
    log({ level: 'info', message });
  }
}

/** Makes the MACs of another key than the current one anew. @returns the rows that do not fit theirs */
export async function renewMacs(pool: pg.Pool, keys: Keys): Promise<DamagedReference[]> {
  const damaged: DamagedReference[] = [];
  for (const signing of signings(pool, keys)) damaged.push(...(await signing.renewAll()));
  return damaged;
}
