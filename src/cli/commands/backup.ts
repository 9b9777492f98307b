import { stat } from 'node:fs/promises';
import { backUp, checkBackup, restore } from '../../backup.ts';
import { Keys } from '../../security/keys.ts';
import { EXIT } from '../exit-codes.ts';
import { progressBar, say } from '../output.ts';
import { storeSettings, withStore, type StoreOptions } from '../store-access.ts';

const MEGABYTE = 1e6;

/** Writes everything to a file. */
export function backup([file]: readonly string[], options: StoreOptions): Promise<number> {
  return withStore(options, async ({ store, keys }) => {
    const bar = progressBar('backing up {value} MB, {duration_formatted}', options);
    bar.start(0, 0);
    const { sequence, bytes } = await backUp(store.copy, keys, file, (done) =>
      bar.update(Math.round(done / MEGABYTE)),
    ).finally(() => bar.stop());
    const sentence = `${file} holds the store as of change ${sequence} (${(bytes / MEGABYTE).toFixed(1)} MB). It opens with key ${keys.ring.currentId}.`;
    say(options, { file, sequence, bytes, key: keys.ring.currentId }, sentence);
    return EXIT.ok;
  });
}

/**
 * Fills an empty store from a file. The backup is read to its end before there is a store, and the keys are those that
 * are there: one that was made here would be of no use, and the store would ask for it ever after.
 */
export async function restoreBackup([file]: readonly string[], options: StoreOptions): Promise<number> {
  const own = new Keys(storeSettings(options));
  own.readIfThere();
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  const check = progressBar('checking {bar} {percentage} %, ETA {eta_formatted}', options);
  check.start(size, 0);
  await checkBackup(own, file, (done) => check.update(done)).finally(() => check.stop());
  return withStore(
    options,
    async ({ store, keys }) => {
      const bar = progressBar('restoring {bar} {percentage} %, ETA {eta_formatted}', options);
      bar.start(size, 0);
      const { sequence } = await restore(store.copy, keys, file, (done) => bar.update(done)).finally(() => bar.stop());
      say(options, { file, sequence }, `Restored as of change ${sequence}. Expunge again whoever was expunged since.`);
      return EXIT.ok;
    },
    'own',
  );
}
