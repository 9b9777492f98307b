import { requireNew } from '../../files/durable-file.ts';
import { contentOf } from '../../files/file-digest.ts';
import { exportRecords } from '../../transfer/export.ts';
import { warnOfDamage, warnOfLost } from '../damage-output.ts';
import { recorded } from '../command-audit.ts';
import { EXIT } from '../exit-codes.ts';
import { progressBar, printResult } from '../output.ts';
import { withStore, type StoreOptions } from '../store-access.ts';

export interface ExportOptions extends StoreOptions {
  readonly gallery?: string;
  readonly contributor?: string;
}

/** Writes the records of the store to a file that `import` reads. */
export function exportToFile([file]: readonly string[], options: ExportOptions): Promise<number> {
  const { gallery, contributor } = options;
  requireNew(file);
  return withStore(options, async (access) => {
    const { store } = access;
    const bar = progressBar('exporting {value} subjects, {duration_formatted}', options);
    bar.start(0, 0);
    const order = {
      file,
      store: store.subjects,
      gallery,
      contributor,
      onProgress: (done: number) => bar.update(done),
    };
    const which = { ...(gallery !== undefined && { gallery }), ...(contributor !== undefined && { contributor }) };
    const exported = await recorded(
      access,
      { command: 'export', facts: which },
      () => exportRecords(order),
      async ({ subjects, references, sequence }) => ({
        subject_count: subjects,
        reference_count: references,
        gallery_version: sequence,
        file_digest: (await contentOf(file)).digest.toString('hex'),
      }),
    ).finally(() => bar.stop());
    const { damaged = [], ...facts } = exported;
    const { subjects, references, sequence } = facts;
    warnOfDamage(damaged);
    const lost = warnOfLost(store.subjects.lost.tables, ['subject', 'reference', 'gallery_membership']);
    const sentence = `${file} holds ${subjects} subjects with ${references} references, as of change ${sequence}. The templates in it are not encrypted: protect it like the keys.`;
    printResult(options, { file, ...facts, ...(damaged.length > 0 && { damaged }) }, sentence);
    return lost || damaged.length > 0 ? EXIT.partlyRefused : EXIT.ok;
  });
}
