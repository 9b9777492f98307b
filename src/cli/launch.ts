/** How this process was started. Loaded before anything that reads the environment; also by a Node.js that is too old. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** How ridgewatch.sh tells the program what it found: `<parent> <obeyed|ignored> <NAME,NAME,…>`. */
const LAUNCHER_VARIABLE = 'RIDGEWATCH_LAUNCHER';
/** How a process that starts the launcher tells what it has taken out of the environment, and that it stands between. */
const IGNORED_VARIABLE = 'RIDGEWATCH_IGNORED';
const RELAY_VARIABLE = 'RIDGEWATCH_RELAY';

/**
 * Variables that Node.js and libraries obey, and that would decide whom the program trusts, what code it loads, or
 * what it writes where. The first row is also taken away by ridgewatch.sh, before Node.js starts.
 */
const AMBIENT =
  /^(NODE_(?!ENV$|CHANNEL_)\w+|OPENSSL_\w+|SSL_CERT_\w+|SSLKEYLOGFILE|GRPC_\w+|NAPI_RS_\w+|PISCINA_\w+|BUF_BIGINT_DISABLE)$/;

export interface Launch {
  /** Whether ridgewatch.sh started this Node.js. */
  readonly byLauncher: boolean;
  /** The parent at the start. */
  readonly parent: number;
  /** Whether the parent only passes on: the end of it means the end of this process. */
  readonly parentIsWrapper: boolean;
  /** Whether SIGHUP was to be ignored, as with nohup. */
  readonly ignoresHangup: boolean;
  /** Names of variables that are not obeyed. */
  readonly ignored: readonly string[];
}

/** Reads the marks of the launcher, and takes what is not to be obeyed out of the environment. */
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
    // Who says nohup wants the program to outlive what it was started from.
    parentIsWrapper: isWrapped && !ignoresHangup,
    ignoresHangup,
    ignored: [...new Set(ignored)].sort(),
  };
}

export const launch: Launch = readLaunch(process.env);

/** The environment for the launcher. @param isRelay - whether this process stays, between it and the parent */
export function launcherEnvironment(isRelay: boolean): NodeJS.ProcessEnv {
  return { ...process.env, [IGNORED_VARIABLE]: launch.ignored.join(','), ...(isRelay && { [RELAY_VARIABLE]: '1' }) };
}

/** ridgewatch.sh; undefined where there is none, or no shell that could run it. */
export function launcherFile(): string | undefined {
  if (process.platform === 'win32') return undefined;
  // Beside this file, both in src/ and in dist/.
  const file = fileURLToPath(new URL('ridgewatch.sh', import.meta.url));
  return existsSync(file) ? file : undefined;
}
