/** Writes subjects from the store to a file of records, the input of an import. */
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { EnrollRequest } from '../contract/generated/ridgewatch/v1/gallery.ts';
import { toProtoJson } from '../contract/proto-json.ts';
import { toEnrollRequest } from '../contract/wire-subjects.ts';
import { createFile } from '../files/durable-file.ts';
import { Failure } from '../failure.ts';
import { formatOf, type RecordFormat } from './import/record-file.ts';
import { faultOf } from '../gallery/stored-records.ts';
import type { DamagedReference, SubjectWithReferences } from '../store/records.ts';
import type { SubjectStore } from '../store/subject-store.ts';

/** Subjects of a batch. One batch is held in memory. */
const BATCH = 500;

export interface ExportOptions {
  /** A new file; its ending determines the format. */
  readonly file: string;
  readonly store: Pick<SubjectStore, 'snapshot' | 'requireGallery'>;
  /** Undefined: of any gallery. */
  readonly gallery: string | undefined;
  /** Undefined: of any contributor. */
  readonly contributor: string | undefined;
  /** Called with the number written so far. */
  readonly onProgress: (subjects: number) => void;
}

export interface Exported {
  /** The last change of the store in the file. */
  readonly sequence: number;
  readonly subjects: number;
  readonly references: number;
  /** Damaged references, which the file lacks; undefined: none. */
  readonly damaged?: readonly DamagedReference[];
}

/**
 * Writes a snapshot of subjects in order of their ids. The file is complete or absent, and readable by its owner only:
 * its templates are not encrypted. Searches and changes continue meanwhile.
 * @throws Failure RECORD_FORMAT_UNKNOWN, GALLERY_UNKNOWN, NOTHING_TO_EXPORT, OUTPUT_EXISTS, OUTPUT_UNWRITABLE; reasons of
 * the store
 */
export async function exportRecords(order: ExportOptions): Promise<Exported> {
  const { file, store, gallery, contributor, onProgress } = order;
  const format = formatOf(file);
  if (gallery !== undefined) await store.requireGallery(gallery);
  let [subjects, references, sequence] = [0, 0, 0];
  const damaged: DamagedReference[] = [];
  await createFile(file, async (draft) => {
    const write = async (
      whole: readonly SubjectWithReferences[],
      _: number,
      unreadable: readonly DamagedReference[] = [],
    ) => {
      damaged.push(...unreadable);
      const batch = whole.map((one) => withoutFaulty(one, damaged)).filter((one) => one.references.length > 0);
      await draft.writeFile(Buffer.concat(batch.map((subject) => recordBytes(toEnrollRequest(subject), format))));
      references += batch.reduce((sum, one) => sum + one.references.length, 0);
      onProgress((subjects += batch.length));
    };
    ({ seq: sequence } = await store.snapshot(write, BATCH, { gallery, contributor }));
    // A mistyped name must not look like an empty gallery.
    const isEmpty = subjects === 0 && damaged.length === 0;
    if (isEmpty && (gallery ?? contributor) !== undefined) throw nothingToExport();
  });
  return { sequence, subjects, references, ...(damaged.length > 0 && { damaged }) };
}

/** A subject without damaged references. @param damaged - receives them */
function withoutFaulty(one: SubjectWithReferences, damaged: DamagedReference[]): SubjectWithReferences {
  damaged.push(...(one.damaged ?? []));
  const faults = one.references.map(faultOf);
  const found = faults.filter((fault) => fault !== undefined);
  if (found.length === 0) return one;
  damaged.push(...found);
  return { ...one, references: one.references.filter((_, i) => faults[i] === undefined) };
}

function nothingToExport(): Failure {
  const sentence = 'No subject is of this gallery and contributor: nothing was written.';
  return new Failure('not-found', 'NOTHING_TO_EXPORT', sentence);
}

/** Encodes one record of the file. */
export function recordBytes(request: EnrollRequest, format: RecordFormat): Uint8Array {
  if (format === 'ndjson') return Buffer.from(`${JSON.stringify(toProtoJson(EnrollRequest.toJSON(request)))}\n`);
  return new BinaryWriter().bytes(EnrollRequest.encode(request).finish()).finish();
}
