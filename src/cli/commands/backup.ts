import { stat } from 'node:fs/promises';
import { backUp, checkBackup, restore } from '../../transfer/backup.ts';
import { faultOf } from '../../gallery/stored-records.ts';
import { Keys } from '../../security/keys.ts';
import { otherReceiptKey, placeOfReceiptKey, ReceiptSigner } from '../../security/receipts.ts';
import type { DamagedReference, SubjectWithReferences } from '../../store/records.ts';
import type { Store } from '../../store/store.ts';
import { contentOf } from '../../files/file-digest.ts';
import { recorded, recordRestore } from '../command-audit.ts';
import { warnOfDamage, warnOfLost } from '../damage-output.ts';
import { EXIT } from '../exit-codes.ts';
import { progressBar, printResult } from '../output.ts';
import { storeSettings, withStore, type StoreAccess, type StoreOptions } from '../store-access.ts';

const MEGABYTE = 1e6;
const SUBJECTS_PER_BATCH = 500;

/** Writes the whole store to a file. */
export function backup([file]: readonly string[], options: StoreOptions): Promise<number> {
  return withStore(options, async (access) => {
    const { store, keys } = access;
    const bar = progressBar('backing up {value} MB, {duration_formatted}', options);
    bar.start(0, 0);
    const { sequence, bytes } = await recorded(
      access,
      { command: 'backup', facts: { key: keys.ring.currentId } },
      () => backUp(store.copy, keys, file, (done) => bar.update(Math.round(done / MEGABYTE))),
      async (done) => ({
        gallery_version: done.sequence,
        bytes: done.bytes,
        file_digest: (await contentOf(file)).digest.toString('hex'),
      }),
    ).finally(() => bar.stop());
    const damaged = await damagedIn(store, options);
    warnOfDamage(damaged);
    if (damaged.length > 0)
      process.stderr.write(
        `${damaged.length} references in the backup are damaged, as in the store. Keep an earlier backup.\n`,
      );
    const { tables } = store.subjects.lost;
    const lost = warnOfLost(tables);
    const sentence = `${file} holds the store as of change ${sequence} (${(bytes / MEGABYTE).toFixed(1)} MB). It opens with key ${keys.ring.currentId}.`;
    const facts = { file, sequence, bytes, key: keys.ring.currentId };
    const more = { ...(damaged.length > 0 && { damaged }), ...(tables.length > 0 && { lost: tables }) };
    printResult(options, { ...facts, ...more }, sentence);
    return lost || damaged.length > 0 ? EXIT.partlyRefused : EXIT.ok;
  });
}

/** The damaged references in the backup. The copy is verbatim: only decoding the references finds damage. */
async function damagedIn(store: Store, options: StoreOptions): Promise<DamagedReference[]> {
  const bar = progressBar('checking {value} subjects, {duration_formatted}', options);
  bar.start(0, 0);
  const damaged: DamagedReference[] = [];
  let subjects = 0;
  const note = (batch: readonly SubjectWithReferences[], unreadable: readonly DamagedReference[]) => {
    damaged.push(...unreadable);
    for (const one of batch) {
      damaged.push(...(one.damaged ?? []));
      damaged.push(...one.references.map(faultOf).filter((fault) => fault !== undefined));
    }
    bar.update((subjects += batch.length));
    return Promise.resolve();
  };
  await store.subjects
    .snapshot((batch, _, unreadable = []) => note(batch, unreadable), SUBJECTS_PER_BATCH)
    .finally(() => bar.stop());
  return damaged;
}

/**
 * Fills an empty store from a file. The whole backup is read before the store is created. Only existing keys are used:
 * a new key would not open the backup, and the store would need it from then on.
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
    async ({ configuration, store, keys }) => {
      const bar = progressBar('restoring {bar} {percentage} %, ETA {eta_formatted}', options);
      bar.start(size, 0);
      const { sequence } = await restore(store.copy, keys, file, (done) => bar.update(done)).finally(() => bar.stop());
      const { digest, size: bytes } = await contentOf(file);
      const facts = { gallery_version: sequence, bytes, file_digest: digest.toString('hex') };
      await recordRestore({ configuration, store, keys }, facts);
      const missing = await missingReceiptKey(configuration, store);
      if (missing !== undefined) process.stderr.write(`Restored, but ${missing}.\n`);
      printResult(
        options,
        { file, sequence, ...(missing !== undefined && { receipt_key_missing: true }) },
        `Restored as of change ${sequence}. Expunge again the subjects that were expunged since.`,
      );
      return EXIT.ok;
    },
    'filled',
  );
}

/** A backup contains receipts, but not the key that signed them. */
async function missingReceiptKey(
  { receiptKey, dataDir }: StoreAccess['configuration'],
  store: Store,
): Promise<string | undefined> {
  let signer: ReceiptSigner | undefined;
  try {
    signer = ReceiptSigner.read(receiptKey, dataDir);
  } catch {
    // The file is missing, or contains no receipt key.
  }
  return otherReceiptKey(signer, placeOfReceiptKey(receiptKey, dataDir), await store.subjects.lastReceipt());
}
