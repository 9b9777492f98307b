import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import Table from 'cli-table3';
import { requireNotOfPublished } from '../../../index-builder/gallery-index/shelf.ts';
import { Failure } from '../../failure.ts';
import { sealersOf } from '../../security/block-sealer.ts';
import { KeyRing } from '../../security/key-ring.ts';
import { Keys } from '../../security/keys.ts';
import { EXIT } from '../exit-codes.ts';
import { progressBar, say } from '../output.ts';
import { withStore, type StoreOptions } from '../store-access.ts';

/** Makes a key file; never writes over one. */
export async function createKeys([file]: readonly string[], options: { readonly json?: boolean }): Promise<number> {
  const keyFile = resolve(file);
  if (existsSync(keyFile)) {
    const sentence = `${file} exists already: what was encrypted with its keys could not be read without them.`;
    throw new Failure('invalid-argument', 'OUTPUT_EXISTS', sentence);
  }
  const keys = new Keys({ keyFile, dataDir: '' });
  await keys.replace(KeyRing.create(new Date()));
  const { currentId } = keys.ring;
  say(
    options,
    { file, current: currentId },
    `${file} holds key ${currentId}. Keep a copy elsewhere: nothing opens without it.`,
  );
  return EXIT.ok;
}

/** Shows the keys, without their secrets. */
export function listKeys(_args: readonly string[], options: StoreOptions): Promise<number> {
  return withStore(options, async ({ store, keys }) => {
    const counts = await store.templateKeys.count();
    const { ring } = keys;
    const listed = ring.ids.map((id) => ({ id, current: id === ring.currentId, templates: counts.get(id) ?? 0 }));
    const table = new Table({ head: ['key', 'templates', ''], style: { head: [], border: [] } });
    for (const { id, templates, current } of listed) table.push([id, templates, current ? 'current' : '']);
    say(options, { file: keys.file, keys: listed }, table.toString());
    return EXIT.ok;
  });
}

/** Encrypts everything with a new key. */
export function rotateKeys(
  _args: readonly string[],
  options: StoreOptions & { readonly keep?: boolean },
): Promise<number> {
  return withStore(options, async ({ store, keys }) => {
    if (options.keep !== true) {
      const ring = keys.ring.withNewKey(new Date());
      // The database has to know it before anybody encrypts with it, which they may as soon as it is in the file.
      await store.templateKeys.enter(ring);
      await keys.replace(ring);
    }
    const { references } = await store.subjects.counts();
    const bar = progressBar('encrypting {bar} {value}/{total} {eta_formatted}', options);
    bar.start(references, 0);
    const sealed = await store.templateKeys.sealStored('all', (count) => bar.update(count)).finally(() => bar.stop());
    const { currentId } = keys.ring;
    say(
      options,
      { current: currentId, encrypted: sealed },
      `${sealed} templates were encrypted with key ${currentId}.`,
    );
    return EXIT.ok;
  });
}

/** Removes a key that nothing needs. */
export function forgetKey([id]: readonly string[], options: StoreOptions): Promise<number> {
  return withStore(options, async ({ configuration, store, keys }) => {
    const ring = keys.ring.without(id);
    await requireNotOfPublished(configuration.indexDir, id, sealersOf(keys, 'index'));
    await store.templateKeys.forget(id);
    await keys.replace(ring);
    say(options, { forgotten: id }, `Key ${id} is gone.`);
    return EXIT.ok;
  });
}
