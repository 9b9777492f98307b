/** How this process was started. Loaded before any module that reads the environment, also by a too old Node.js. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Variable in which ridgewatch.sh reports what it found: `<parent> <obeyed|ignored> <NAME,NAME,…>`. */
const LAUNCHER_VARIABLE = 'RIDGEWATCH_LAUNCHER';
/** Variable for a process that starts the launcher: states the variables that it removed, and whether it is a relay. */
const IGNORED_VARIABLE = 'RIDGEWATCH_IGNORED';
const RELAY_VARIABLE = 'RIDGEWATCH_RELAY';

/**
 * Variables obeyed by Node.js and libraries that would decide which authorities the program trusts, which code it
 * loads, or which files it writes. ridgewatch.sh removes those of the first row before Node.js starts, too.
 */
const AMBIENT =
  /^(NODE_(?!ENV$|CHANNEL_)\w+|OPENSSL_\w+|SSL_CERT_\w+|SSLKEYLOGFILE|GRPC_\w+|NAPI_RS_\w+|PISCINA_\w+|BUF_BIGINT_DISABLE)$/;

export interface Launch {
  /** Whether ridgewatch.sh started this Node.js. */
  readonly byLauncher: boolean;
  /** The parent at the start. */
  readonly parent: number;
  /** Whether the parent is only a relay: this process ends with it. */
  readonly parentIsWrapper: boolean;
  /** Whether SIGHUP was to be ignored, as with nohup. */
  readonly ignoresHangup: boolean;
  /** Names of the variables that were removed. */
  readonly ignored: readonly string[];
}

/** Reads the launcher's variables and removes the ambient ones from the environment. */
function readLaunch(env: NodeJS.ProcessEnv): Launch {
  const mark = env[LAUNCHER_VARIABLE];
  const [parent, hangup, names = ''] = mark?.split(' ') ?? [];
  const ignoresHangup = hangup === 'ignored';
  const isWrapped = env[RELAY_VARIABLE] !== undefined || env.npm_lifecycle_event !== undefined;
  const found = Object.keys(env).filter((name) => AMBIENT.test(name));
  for (const name of [LAUNCHER_VARIABLE, IGNORED_VARIABLE, RELAY_VARIABLE, ...found]) Reflect.deleteProperty(env, name);
  const ignored = [...names.split(',').filter((name) => AMBIENT.test(name)), ...found];
  return {
    byLauncher: mark !== undefined,
    parent: Number(parent ?? process.ppid),
    // With nohup the program must outlive its parent.
    parentIsWrapper: isWrapped && !ignoresHangup,
    ignoresHangup,
    ignored: [...new Set(ignored)].sort(),
  };
}

export const launch: Launch = readLaunch(process.env);

/** The environment for the launcher. @param isRelay - whether this process stays between the launcher and the parent */
export function launcherEnvironment(isRelay: boolean): NodeJS.ProcessEnv {
  return { ...process.env, [IGNORED_VARIABLE]: launch.ignored.join(','), ...(isRelay && { [RELAY_VARIABLE]: '1' }) };
}

/** Path of ridgewatch.sh; undefined without it or without a shell to run it. */
export function launcherFile(): string | undefined {
  if (process.platform === 'win32') return undefined;
  // Beside this file, both in src/ and in dist/.
  const file = fileURLToPath(new URL('ridgewatch.sh', import.meta.url));
  return existsSync(file) ? file : undefined;
}
