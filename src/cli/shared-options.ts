import { Option, type Command } from 'commander';
import { Purpose, type IdentifyRequest } from '../contract/generated/ridgewatch/v1/identification.ts';
import type { Provenance } from '../store/records.ts';
import type { FingerPosition } from '../templates/finger-template.ts';
import { serviceAddress } from './address.ts';
import type { ConnectionSettings } from './client.ts';
import { givenSettings } from './given-settings.ts';
import { oidcOption, signInFolderOption, withSignIn, type SignInOptions } from './sign-in-options.ts';
import { tokenFor } from './token.ts';
import { reportFailure } from './failure-output.ts';
import { reportStrayErrors } from './stray-errors.ts';
import { decimalNumber, wholeNumber } from './numbers.ts';
import { Interrupted } from './stop-signals.ts';

/** A day: every wait has an end. */
const MAX_TIMEOUT_SECONDS = 86_400;

/** Values of --provenance. */
export const PROVENANCES: readonly Provenance[] = ['unspecified', 'controlled', 'field', 'latent', 'synthetic'];

/** Options of every command that talks to a service. */
export interface ConnectionOptions extends SignInOptions {
  readonly address: string;
  readonly timeout: number;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tokenFile?: string;
  /** Only commands that work on the store as well have this option. */
  readonly dataDir?: string;
  readonly json?: boolean;
}

export function addConnectionOptions(command: Command): Command {
  return addAddressOptions(command).option(
    '--json',
    'print one JSON document; failures go to standard error, as JSON too',
  );
}

/** Options for the address of a service and for TLS. */
export function addAddressOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--address <host:port>', 'gRPC address of the service')
        .env('RIDGEWATCH_ADDRESS')
        .argParser(serviceAddress)
        .default('127.0.0.1:50151'),
    )
    .option('--timeout <seconds>', 'deadline of each call', decimalNumber(0.001, MAX_TIMEOUT_SECONDS), 30)
    .option('--tls-ca <file>', 'authorities (PEM) that may certify the server; enables TLS')
    .option('--tls-cert <file>', 'client certificate (PEM), for mutual TLS')
    .option('--tls-key <file>', 'its private key (PEM)')
    .addOption(
      new Option(
        '--token-file <file>',
        'file with the token of the client; default: the one that the service on this machine has made in its data directory',
      ).env('RIDGEWATCH_TOKEN_FILE'),
    )
    .addOption(oidcOption())
    .addOption(signInFolderOption());
}

export function connectionOf(options: ConnectionOptions): ConnectionSettings {
  const { address, timeout, tlsCa, tlsCert, tlsKey, tokenFile } = options;
  const { dataDir } = givenSettings({ dataDir: options.dataDir });
  const { signInToken } = options;
  const token = tokenFor({ address, isEncrypted: tlsCa !== undefined, tokenFile, signInToken, dataDir });
  return { address, timeoutSeconds: timeout, tlsCa, tlsCert, tlsKey, token };
}

/** Options for facts that template files do not contain. */
export interface TemplateOptions {
  readonly model?: string;
  readonly position: FingerPosition;
}

export function addTemplateOptions(command: Command): Command {
  return command
    .option('--model <id>', 'model of the face embeddings (.f32, .i8)')
    .option(
      '--position <0-10>',
      'finger position of records that do not state one (ISO: 1 right thumb … 10 left little)',
      fingerPosition,
      0,
    );
}

/** A finger position; 0: not known. */
function fingerPosition(text: string): FingerPosition {
  return wholeNumber(0, 10)(text) as FingerPosition;
}

/** Options that set the threshold of a search; at most one of them is given. */
export interface ThresholdOptions {
  readonly targetFpir?: number;
  readonly maxLog10Fmr?: number;
}

export function thresholdOf({ targetFpir, maxLog10Fmr }: ThresholdOptions): IdentifyRequest['threshold'] {
  if (targetFpir !== undefined) return { $case: 'targetFpir', value: targetFpir };
  return maxLog10Fmr === undefined ? undefined : { $case: 'maxLog10Fmr', value: maxLog10Fmr };
}

/** Gathers an option that may be given several times. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

export const PURPOSES: Readonly<Record<string, Purpose>> = {
  'border-check': Purpose.BORDER_CHECK,
  investigation: Purpose.INVESTIGATION,
  application: Purpose.APPLICATION,
  test: Purpose.TEST,
};

/** A command's work: gets positional arguments and options, returns the exit code. */
type Work<Options> = (args: string[], options: Options) => Promise<number>;

/**
 * Wires a command to its module. The module is loaded only when the command is used: `compare` should not wait for a
 * database driver.
 */
export function runs<Options extends { json?: boolean }>(
  command: Command,
  load: () => Promise<Work<Options>>,
): Command {
  return command.action(async (...given: unknown[]) => {
    const args = given.slice(0, -2).flatMap((value) => (value === undefined ? [] : (value as string | string[])));
    const options = given.at(-2) as Options;
    // The service has a last resort of its own.
    if (command.name() !== 'serve') reportStrayErrors(options.json === true);
    try {
      const work = await load();
      process.exitCode = await work(args, await withSignIn(options));
    } catch (error) {
      process.exitCode = reportFailure(error, options.json === true);
      // Work that is still running must not keep the process alive.
      if (error instanceof Interrupted) process.exit();
    }
  });
}

/** Options of commands that work on the store itself. */
export function addStoreOptions(command: Command): Command {
  return command
    .option('--data-dir <dir>', "the service's data directory (RIDGEWATCH_DATA_DIR), if DATABASE_URL is not set")
    .option('--key-file <file>', 'file with the keys (RIDGEWATCH_KEY_FILE)')
    .option('--json', 'print one JSON document');
}
