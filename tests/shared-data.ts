import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const candidates = [process.env.RIDGEWATCH_SHARED_DATA, resolve(import.meta.dirname, '../../shared/data')];

/** Folder with real templates; undefined if it is missing. Tests that need it then report that they are skipped. */
export const sharedData: string | undefined = candidates.find((folder) => folder !== undefined && existsSync(folder));

/** Every `.iso` file below a folder of the shared data, in order of name. */
export function isoFiles(folder: string): { readonly name: string; readonly bytes: Uint8Array }[] {
  const root = join(sharedData ?? '', folder);
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.iso'))
    .sort()
    .map((name) => ({ name, bytes: new Uint8Array(readFileSync(join(root, name))) }));
}
