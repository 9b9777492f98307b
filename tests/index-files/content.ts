import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Digests of the files in a directory, by name. */
export function contentOf(directory: string): Map<string, string> {
  const digest = (name: string) =>
    createHash('sha256')
      .update(readFileSync(join(directory, name)))
      .digest('hex');
  return new Map(readdirSync(directory).map((name) => [name, digest(name)]));
}
