import { join } from 'node:path';
import { Keys } from '../src/security/keys.ts';
import { temporaryDirectory } from './cluster.ts';

/** Keys in a file of their own, which is made when they are opened. */
export function temporaryKeys(): Keys {
  const dataDir = temporaryDirectory();
  return new Keys({ keyFile: undefined, dataDir: join(dataDir, 'keys') });
}
