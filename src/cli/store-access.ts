import { readConfiguration, type Configuration } from '../configuration.ts';
import { Keys } from '../security/keys.ts';
import { openStore, type Store, type StoreMode } from '../store/store.ts';

/** Options of commands that work on the store. */
export interface StoreOptions {
  readonly dataDir?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly indexDir?: string | undefined;
  readonly workers?: string | undefined;
  readonly json?: boolean | undefined;
}

/** The store as a command has it. */
export interface StoreAccess {
  readonly configuration: Configuration;
  readonly store: Store;
  readonly keys: Keys;
}

/** The settings of the service, as a command is told of them. @throws Failure INVALID_CONFIGURATION */
export function storeSettings({ dataDir, keyFile, indexDir, workers }: StoreOptions): Configuration {
  const given = {
    RIDGEWATCH_DATA_DIR: dataDir,
    RIDGEWATCH_KEY_FILE: keyFile,
    RIDGEWATCH_INDEX_DIR: indexDir,
    RIDGEWATCH_WORKERS: workers,
  };
  return readConfiguration(
    process.env,
    Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  );
}

/**
 * Lends the store of a service, which may be running, to a command.
 * @throws Failure
 */
export async function withStore<T>(
  options: StoreOptions,
  work: (access: StoreAccess) => Promise<T>,
  mode: StoreMode = 'present',
): Promise<T> {
  const configuration = storeSettings(options);
  const { databaseUrl, dataDir, storePatienceSeconds } = configuration;
  const keys = new Keys(configuration);
  const log = ({ level, message }: { readonly level: string; readonly message: string }) => {
    if (level !== 'info') process.stderr.write(`${message}\n`);
  };
  const store = await openStore({
    databaseUrl,
    dataDir,
    keys,
    log,
    mode,
    patience: { patienceMs: storePatienceSeconds * 1000 },
  });
  try {
    return await work({ configuration, store, keys });
  } finally {
    await store.close();
  }
}
