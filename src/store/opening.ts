/** Steps of a store's opening that put its contents in order: its indexes, its keys, its templates. */
import type { Keys } from '../security/keys.ts';
import type { StoreLog } from './database-server.ts';
import type { StoreRepair } from './store-repair.ts';
import type { TemplateKeys } from './template-keys.ts';

/** Templates between two progress messages. */
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

/** Encrypts the plain templates of an earlier version. */
export async function sealPlain(templateKeys: TemplateKeys, log: StoreLog): Promise<void> {
  const sealed = await templateKeys.sealStored('plain', (count) => {
    if (count % REPORTED_EVERY === 0) log({ level: 'info', message: `encrypted ${count} templates so far` });
  });
  if (sealed > 0) log({ level: 'info', message: `encrypted ${sealed} templates that an earlier version had stored` });
}
