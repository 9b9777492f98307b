import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import Table from 'cli-table3';
import { indexesOf, requireNotOfPublished } from '../../index-files/index-catalog.ts';
import { Failure } from '../../failure.ts';
import { sealersOf } from '../../security/block-sealer.ts';
import { keyNotFound } from '../../security/key-ring.ts';
import { Keys } from '../../security/keys.ts';
import { warnOfDamage } from '../damage-output.ts';
import { recorded } from '../command-audit.ts';
import { agreed } from '../confirmation.ts';
import { EXIT } from '../exit-codes.ts';
import { progressBar, printResult } from '../output.ts';
import { withStore, type StoreOptions } from '../store-access.ts';

/** Creates a key file; never overwrites one. */
export async function createKeys([file]: readonly string[], options: { readonly json?: boolean }): Promise<number> {
  const keyFile = resolve(file);
  const exists = () => {
    const sentence = `${file} already exists and is not overwritten: data encrypted with its keys cannot be read without them.`;
    return new Failure('invalid-argument', 'OUTPUT_EXISTS', sentence);
  };
  if (existsSync(keyFile)) throw exists();
  const keys = new Keys({ keyFile, dataDir: '' });
  if (!(await keys.create())) throw exists();
  const { currentId } = keys.ring;
  printResult(
    options,
    { file, current: currentId },
    `${file} holds key ${currentId}. Keep a copy elsewhere: without it the stored templates cannot be read.`,
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
    printResult(options, { file: keys.file, keys: listed }, table.toString());
    return EXIT.ok;
  });
}

/** Creates a key and re-encrypts every template with it. */
export function rotateKeys(
  _args: readonly string[],
  options: StoreOptions & { readonly keep?: boolean },
): Promise<number> {
  return withStore(options, async (access) => {
    const { store, keys } = access;
    const rotate = async () => {
      if (options.keep !== true) await store.templateKeys.rotate(new Date());
      // If damage prevents counting, only the progress bar is lost.
      const { references } = await store.subjects.counts().catch(() => ({ references: 0 }));
      const bar = progressBar('encrypting {bar} {value}/{total} {eta_formatted}', options);
      bar.start(references, 0);
      return store.templateKeys.sealAll('all', (count) => bar.update(count)).finally(() => bar.stop());
    };
    const { sealed, damaged } = await recorded(
      access,
      { command: 'keys rotate', facts: { new_key: options.keep !== true } },
      rotate,
      (done) => ({ key: keys.ring.currentId, template_count: done.sealed, damaged_count: done.damaged.length }),
    );
    warnOfDamage(damaged);
    const { currentId } = keys.ring;
    printResult(
      options,
      { current: currentId, encrypted: sealed, ...(damaged.length > 0 && { damaged }) },
      `${sealed} templates were encrypted with key ${currentId}.`,
    );
    return damaged.length > 0 ? EXIT.partlyRefused : EXIT.ok;
  });
}

interface ForgetOptions extends StoreOptions {
  readonly yes?: boolean;
}

/** Removes an unused key, after confirmation. */
export function forgetKey([id]: readonly string[], options: ForgetOptions): Promise<number> {
  return withStore(options, async (access) => {
    const { configuration, store, keys } = access;
    const { indexDir } = configuration;
    if (!(await store.templateKeys.isKnown(id))) throw keyNotFound(id);
    await requireNotOfPublished(indexDir, id, sealersOf(keys, 'index'));
    if (id === keys.ring.currentId) keys.ring.without(id);
    const indexes = await indexesOf(indexDir, id);
    const lost = [
      `the backups that were made while key ${id} was the current one`,
      ...(indexes.length > 0 ? [`the indexes ${indexes.join(', ')}`] : []),
    ].join(' and ');
    const isAgreed = await agreed(
      options,
      `Without key ${id}, ${lost} can never be read again. Forget it permanently?`,
    );
    if (!isAgreed) {
      process.stderr.write('Nothing was removed.\n');
      return EXIT.refused;
    }
    const asked = { command: 'keys forget', facts: { key: id, unreadable_indexes: indexes.length } };
    await recorded(access, asked, () => store.templateKeys.drop(id));
    const document = { forgotten: id, ...(indexes.length > 0 && { unreadable_indexes: indexes }) };
    printResult(options, document, `Key ${id} is forgotten. Without a copy of it, ${lost} cannot be read.`);
    return EXIT.ok;
  });
}
