import { existsSync, readdirSync, statSync } from 'node:fs';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

/**
 * The program that tests and benches run as a process, relative to the root of the project: what is built, as users have it, where
 * it is newer than every source file. It starts in half the time of the sources, whose types must be removed first.
 */
export const programFile = isBuilt() ? 'dist/src/cli/main.js' : 'src/cli/main.ts';

function isBuilt(): boolean {
  // The last file of a build, written by every one.
  const last = resolve(root, 'dist/src/cli/ridgewatch.sh');
  if (!existsSync(last)) return false;
  const built = statSync(last).mtimeMs;
  const sources = readdirSync(resolve(root, 'src'), { recursive: true, withFileTypes: true });
  return sources.every((entry) => statSync(resolve(entry.parentPath, entry.name)).mtimeMs <= built);
}
