import { join } from 'node:path';
import { Keys } from '../src/security/keys.ts';
import { temporaryDirectory } from './cluster.ts';

/** Keys in a separate file, which is created when they are opened. */
export function temporaryKeys(): Keys {
  const dataDir = temporaryDirectory();
  return new Keys({ keyFile: undefined, dataDir: join(dataDir, 'keys') });
}
