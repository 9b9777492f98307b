import { delimiter } from 'node:path';

/** Directories of the system's own programs, before those of PATH: no other directory can override them. */
const SYSTEM_PATH = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/**
 * The whole environment of programs started here. PostgreSQL's programs would read directory, port, options, time zone
 * and language from ours.
 */
export function childEnvironment(): NodeJS.ProcessEnv {
  const path = [...SYSTEM_PATH, process.env['PATH'] ?? ''].filter((part) => part !== '').join(delimiter);
  // Windows cannot start programs without it.
  const system = process.env['SystemRoot'];
  return { PATH: path, LC_ALL: 'C', TZ: 'UTC', ...(system !== undefined && { SystemRoot: system }) };
}
