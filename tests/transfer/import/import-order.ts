/** The options of an import in tests: one thread, the face model of synthetic people. */
import type { ImportOptions } from '../../../src/transfer/import/import.ts';
import type { Imports } from '../../../src/store/imports.ts';

export function importOrder(imports: Imports, file: string, changes: Partial<ImportOptions> = {}): ImportOptions {
  return {
    file,
    imports,
    admission: { admit: () => undefined, withdraw: () => undefined },
    workers: 1,
    rules: {
      faceModels: new Map([['synthetic-512', { id: 'synthetic-512', dimension: 512 }]]),
      minimumQuality: 0,
      maxRecordBytes: 1 << 20,
    },
    onEnrolled: () => Promise.resolve(),
    onProgress: () => undefined,
    onNewGalleries: () => undefined,
    ...changes,
  };
}
