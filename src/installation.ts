import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The folder of this installation, with package.json, proto/ and dist/. Found by walking up, because this file runs
 * both from src/ and from dist/src/.
 */
export const installationFolder: string = find(dirname(fileURLToPath(import.meta.url)));

/** The program's version, from package.json. */
export const programVersion: string = (
  JSON.parse(readFileSync(join(installationFolder, 'package.json'), 'utf8')) as { version: string }
).version;

function find(folder: string): string {
  // dist/ holds no package.json, so the first one upwards is ours.
  if (existsSync(join(folder, 'package.json'))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error('package.json of ridgewatch was not found');
  return find(parent);
}
