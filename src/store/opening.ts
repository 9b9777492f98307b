/** Steps of a store's opening that put its contents in order: its indexes, its keys, the MACs of its rows. */
import type { Keys } from '../security/keys.ts';
import type { StoreLog } from './database-server.ts';
import { rowsUnsigned } from './migrations.ts';
import type { RowSigning } from './row-signing.ts';
import type { StoreRepair } from './store-repair.ts';
import type { TemplateKeys } from './template-keys.ts';

/** Templates or subjects between two progress messages. */
const REPORTED_EVERY = 50_000;

/**
 * Rebuilds damaged indexes, which block every operation and hold no data of their own. Other damage is read around, as
 * far as possible.
 */
export async function mendIndexes(repair: StoreRepair, log: StoreLog): Promise<void> {
  const damaged = await repair.damagedIndexes('blocks');
  if (damaged.length === 0) return;
  // If a table lacks rows, an index may be the only record of them: it is left unchanged.
  for (const { index, table, outcome } of await repair.rebuildIndexes(damaged)) {
    if (outcome === 'rebuilt') {
      const message = `the index ${index} of the table ${table} was damaged, and was built anew from the table`;
      log({ level: 'warn', message });
    } else {
      const message = `the index ${index} of the table ${table} is damaged, and could not be built anew (${outcome}): ridgewatch store check says what to do`;
      log({ level: 'error', message });
    }
  }
}

/** Opens the keys. */
export async function establishKeys(templateKeys: TemplateKeys, keys: Keys, log: StoreLog): Promise<void> {
  const { made, missing } = await templateKeys.establish();
  for (const id of missing) {
    const message = `key ${id}, of which the store knows, is not in ${keys.file}, or is another one there; no template is encrypted with it: ridgewatch keys forget ${id} ends this warning`;
    log({ level: 'warn', message });
  }
  if (made) {
    const message = `made a first key in ${keys.file}; without it what is stored cannot be read: keep a copy elsewhere`;
    log({ level: 'warn', message });
  }
}

/**
 * Encrypts and signs what an earlier version stored in plain or without MACs. In a store that was signed already, such
 * rows are none of an earlier version: they stay as they are, and are damaged.
 * @throws Failure SCHEMA_TOO_OLD: another process may be signing them now
 */
export async function signRows(
  signing: RowSigning,
  templateKeys: TemplateKeys,
  log: StoreLog,
  schema: 'upgrade' | 'keep',
): Promise<void> {
  const state = await signing.state();
  if (state === 'mark-removed') {
    const message =
      'the database no longer says that its rows were signed, and the data directory does: its mark was removed from the database; rows without a MAC are damaged';
    log({ level: 'error', message });
  }
  if (state === 'unsigned' && (await signing.hasUnsigned())) {
    if (schema === 'keep') throw rowsUnsigned();
    await sealPlain(templateKeys, log);
    log({ level: 'info', message: 'signing the rows that an earlier version stored' });
    let told = 0;
    const signed = await signing.signAll((count) => {
      if (count < told + REPORTED_EVERY) return;
      told = count;
      log({ level: 'info', message: `signed the rows of ${count} subjects so far` });
    });
    log({ level: 'info', message: `signed the rows of ${signed} subjects that an earlier version had stored` });
  } else await signing.mark();
}

async function sealPlain(templateKeys: TemplateKeys, log: StoreLog): Promise<void> {
  const sealed = await templateKeys.sealStored('plain', (count) => {
    if (count % REPORTED_EVERY === 0) log({ level: 'info', message: `encrypted ${count} templates so far` });
  });
  if (sealed > 0) log({ level: 'info', message: `encrypted ${sealed} templates that an earlier version had stored` });
}
