import { readConfiguration, type Configuration } from '../configuration.ts';
import type { SettingName } from '../service-settings.ts';
import { Failure } from '../failure.ts';

/** Settings that commands have options for. */
const OPTIONS = {
  dataDir: ['RIDGEWATCH_DATA_DIR', '--data-dir'],
  keyFile: ['RIDGEWATCH_KEY_FILE', '--key-file'],
  indexDir: ['RIDGEWATCH_INDEX_DIR', '--index-dir'],
  workers: ['RIDGEWATCH_WORKERS', '--workers'],
  grpcPort: ['RIDGEWATCH_GRPC_PORT', '--grpc-port'],
  httpPort: ['RIDGEWATCH_HTTP_PORT', '--http-port'],
  demo: ['RIDGEWATCH_DEMO', '--demo'],
} as const satisfies Record<string, readonly [SettingName, string]>;

export type GivenSettings = { readonly [Option in keyof typeof OPTIONS]?: string | undefined };

/**
 * The settings of the service for a command: options override the environment.
 * @throws Failure INVALID_CONFIGURATION that names the option, if the value came from one
 */
export function givenSettings(options: GivenSettings): Configuration {
  const given = (Object.keys(OPTIONS) as (keyof typeof OPTIONS)[]).filter((name) => options[name] !== undefined);
  const overrides = Object.fromEntries(given.map((name) => [OPTIONS[name][0], options[name]]));
  try {
    return readConfiguration(process.env, overrides);
  } catch (error) {
    const wrong = given.find((name) => error instanceof Failure && error.detail.field === OPTIONS[name][0]);
    if (wrong === undefined || !(error instanceof Failure)) throw error;
    throw new Failure(error.kind, error.reason, `${OPTIONS[wrong][1]}: ${error.message}`, error.detail);
  }
}
