import { join } from 'node:path';
import Table from 'cli-table3';
import { chooseIndex, differences, prune, publish } from '../../index-files/index-catalog.ts';
import { filesOfPartition, readManifest } from '../../index-files/manifest.ts';
import { publishedIndex } from '../../index-files/index-catalog.ts';
import { listIndexes } from '../../index-files/index-catalog.ts';
import { packedModels } from '../../matching/rates/model-version.ts';
import { sealersOf, type KeyedBlockSealer } from '../../security/block-sealer.ts';
import { Keys } from '../../security/keys.ts';
import { EXIT } from '../exit-codes.ts';
import { bytesOf, megabytes } from '../index-size.ts';
import { printResult } from '../output.ts';
import { afterPublishing } from '../publication.ts';
import { connectionOf, type ConnectionOptions } from '../shared-options.ts';
import { storeSettings, type StoreOptions } from '../store-access.ts';

/** Options of commands that publish. */
type PublishOptions = StoreOptions & ConnectionOptions;

/** Lists the indexes. */
export async function list(_args: readonly string[], options: StoreOptions): Promise<number> {
  const { indexDir } = storeSettings(options);
  const [names, published] = [await listIndexes(indexDir), await publishedIndex(indexDir)];
  const listed = names.map((name) => ({ index: name, published: name === published }));
  const lines = listed.map(({ index, published: isIt }) => `${index}${isIt ? '  published' : ''}`);
  printResult(
    options,
    { indexes: listed },
    lines.length === 0 ? `There is no index in ${indexDir}.` : lines.join('\n'),
  );
  return EXIT.ok;
}

/** Shows the manifest of an index. */
export async function inspect([name]: readonly string[], options: StoreOptions): Promise<number> {
  const { indexDir, sealerOf } = await indexesOf(options);
  const chosen = await chooseIndex(indexDir, name);
  const manifest = await readManifest(join(indexDir, chosen), sealerOf);
  const head = ['partition', 'references', 'segments', 'size', 'face directions'];
  const table = new Table({ head, style: { head: [], border: [] } });
  for (const partition of manifest.partitions) {
    const { key, references, files, codes } = partition;
    const bytes = filesOfPartition(partition).reduce((sum, file) => sum + file.bytes, 0);
    table.push([key, references, files.length, megabytes(bytes), codes?.coderHash ?? '']);
  }
  const { sequence, subjects, models, keyId } = manifest;
  printResult(
    options,
    { index: chosen, ...manifest },
    [
      `${chosen}: ${subjects} subjects as of change ${sequence}, ${megabytes(bytesOf(manifest))}, key ${keyId}`,
      `models: fingers ${models.finger}, kernels ${models.kernels}, candidate vectors ${models.vectors}`,
      table.toString(),
    ].join('\n'),
  );
  return EXIT.ok;
}

/** Shows the differences of two indexes. */
export async function diff([first, second]: readonly string[], options: StoreOptions): Promise<number> {
  const { indexDir, sealerOf } = await indexesOf(options);
  const [one, other] = [await chooseIndex(indexDir, first), await chooseIndex(indexDir, second)];
  const found = differences(
    await readManifest(join(indexDir, one), sealerOf),
    await readManifest(join(indexDir, other), sealerOf),
  );
  const table = new Table({ head: ['', one, other], style: { head: [], border: [] } });
  for (const { what, first: a, second: b } of found) table.push([what, a, b]);
  printResult(
    options,
    { first: one, second: other, differences: found },
    found.length === 0 ? 'No differences.' : table.toString(),
  );
  return EXIT.ok;
}

/** Publishes an index: services switch to it. */
export async function publishOne([name]: readonly string[], options: PublishOptions): Promise<number> {
  const { indexDir, sealerOf } = await indexesOf(options);
  const chosen = await chooseIndex(indexDir, name);
  await publish(indexDir, chosen, packedModels(), sealerOf);
  const { sentence, ...publication } = await afterPublishing(indexDir, chosen, connectionOf(options));
  printResult(options, { published: chosen, ...publication }, sentence);
  return EXIT.ok;
}

/** Deletes the oldest indexes. */
export async function pruneOld(
  _args: readonly string[],
  options: StoreOptions & { readonly keep: number },
): Promise<number> {
  const removed = await prune(storeSettings(options).indexDir, options.keep);
  printResult(options, { removed }, removed.length === 0 ? 'Nothing was removed.' : `Removed: ${removed.join(', ')}.`);
  return EXIT.ok;
}

async function indexesOf(
  options: StoreOptions,
): Promise<{ indexDir: string; sealerOf: (keyId: string) => KeyedBlockSealer }> {
  const configuration = storeSettings(options);
  const keys = new Keys(configuration);
  await keys.open(true);
  return { indexDir: configuration.indexDir, sealerOf: sealersOf(keys, 'index') };
}
