import { setTimeout as delay } from 'node:timers/promises';
import type { Configuration } from '../configuration.ts';
import { Keys } from '../security/keys.ts';
import { openStore, type Store, type StoreMode, type StoreSettings } from '../store/store.ts';
import { givenSettings } from './given-settings.ts';
import { Interrupted, StopSignals } from './stop-signals.ts';

/** Options of commands that work on the store. */
export interface StoreOptions {
  readonly dataDir?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly indexDir?: string | undefined;
  readonly workers?: string | undefined;
  readonly json?: boolean | undefined;
}

/** The store of a command, with its keys. */
export interface StoreAccess {
  readonly configuration: Configuration;
  readonly store: Store;
  readonly keys: Keys;
}

/** The settings of the service for a command. @throws Failure INVALID_CONFIGURATION */
export function storeSettings({ dataDir, keyFile, indexDir, workers }: StoreOptions): Configuration {
  return givenSettings({ dataDir, keyFile, indexDir, workers });
}

/** Time for interrupted work to clean up, in milliseconds. */
const CLEARING_UP_MS = 10_000;

/**
 * Opens the store for a command; a service may be running on it.
 * @param examine - called before the store is opened
 * @throws Failure
 * @throws Interrupted when a signal stops the process; a database started for the command is stopped first
 */
export async function withStore<T>(
  options: StoreOptions,
  work: (access: StoreAccess) => Promise<T>,
  mode: StoreMode = 'present',
  examine?: StoreSettings['examine'],
): Promise<T> {
  const configuration = storeSettings(options);
  const { databaseUrl, databaseOwnerUrl, dataDir, storePatienceSeconds } = configuration;
  const keys = new Keys(configuration);
  const log = ({ level, message }: { readonly level: string; readonly message: string }) => {
    if (level !== 'info') process.stderr.write(`${message}\n`);
  };
  const signals = new StopSignals();
  try {
    const store = await openStore({
      databaseUrl,
      databaseOwnerUrl,
      dataDir,
      keys,
      log,
      mode,
      ...(examine !== undefined && { examine }),
      patience: { patienceMs: storePatienceSeconds * 1000, signal: signals.asked },
    });
    let working: Promise<T> | undefined;
    try {
      return await Promise.race([interruptionOf(signals.asked), (working = work({ configuration, store, keys }))]);
    } finally {
      // Interrupted work fails on the closed store and cleans up.
      await store.close();
      if (signals.asked.aborted) await settled(working, CLEARING_UP_MS);
    }
  } finally {
    signals.close();
  }
}

function interruptionOf(asked: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const interrupt = () => reject(new Interrupted(asked.reason as NodeJS.Signals));
    if (asked.aborted) interrupt();
    else asked.addEventListener('abort', interrupt, { once: true });
  });
}

/** Waits until work has settled or the time is up. */
async function settled(work: Promise<unknown> | undefined, ms: number): Promise<void> {
  const limit = new AbortController();
  const ended = Promise.resolve(work).catch(() => undefined);
  await Promise.race([ended, delay(ms, undefined, { signal: limit.signal }).catch(() => undefined)]);
  limit.abort();
}
