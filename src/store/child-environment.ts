import { delimiter } from 'node:path';

/** Where the system's own programs are; before what PATH says, so that no directory in it comes in between. */
const SYSTEM_PATH = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/**
 * All that programs which are started here get to know of our environment. PostgreSQL's programs would take directory,
 * port, options, time zone and language from theirs.
 */
export function childEnvironment(): NodeJS.ProcessEnv {
  const path = [...SYSTEM_PATH, process.env['PATH'] ?? ''].filter((part) => part !== '').join(delimiter);
  // Windows starts no program without it.
  const system = process.env['SystemRoot'];
  return { PATH: path, LC_ALL: 'C', TZ: 'UTC', ...(system !== undefined && { SystemRoot: system }) };
}
