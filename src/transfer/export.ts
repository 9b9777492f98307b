/** From the store to a file of records, which an import reads. */
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { EnrollRequest } from '../api/generated/ridgewatch/v1/gallery.ts';
import { toProtoJson } from '../api/proto-json.ts';
import { toEnrollRequest } from '../api/wire-subjects.ts';
import { createFile } from '../files/durable-file.ts';
import { Failure } from '../failure.ts';
import { formatOf, type RecordFormat } from './import/record-file.ts';
import { faultOf } from '../gallery/stored-records.ts';
import type { DamagedReference, SubjectWithReferences } from '../store/records.ts';
import type { SubjectStore } from '../store/subject-store.ts';

/** Subjects of a batch: what is held in memory. */
const BATCH = 500;

export interface ExportOptions {
  /** A new one; its ending says how records are written. */
  readonly file: string;
  readonly store: Pick<SubjectStore, 'snapshot' | 'requireGallery'>;
  /** Undefined: whatever galleries they belong to. */
  readonly gallery: string | undefined;
  /** Undefined: whoever owns them. */
  readonly contributor: string | undefined;
  /** Told how many have been written. */
  readonly onProgress: (subjects: number) => void;
}

export interface Exported {
  /** The last change of the store that the file shows. */
  readonly sequence: number;
  readonly subjects: number;
  readonly references: number;
  /** Stored references that the file lacks, for they are damaged; not given: none. */
  readonly damaged?: readonly DamagedReference[];
}

/**
 * Writes subjects, as they all stand at one moment, in order of their ids. The file is there whole or not at all, and
 * nobody but its owner may read it: templates in it are not encrypted. Searches and changes go on meanwhile.
 * @throws Failure RECORD_FORMAT_UNKNOWN, GALLERY_UNKNOWN, NOTHING_TO_EXPORT, OUTPUT_EXISTS, OUTPUT_UNWRITABLE; of the
 * store
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
    // A mistyped name must not look like a list without people.
    const isEmpty = subjects === 0 && damaged.length === 0;
    if (isEmpty && (gallery ?? contributor) !== undefined) throw nothingToExport();
  });
  return { sequence, subjects, references, ...(damaged.length > 0 && { damaged }) };
}

/** What an import would take of a subject. @param damaged - what is damaged of it is added here */
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

/** A record as it stands in a file of records. */
export function recordBytes(request: EnrollRequest, format: RecordFormat): Uint8Array {
  if (format === 'ndjson') return Buffer.from(`${JSON.stringify(toProtoJson(EnrollRequest.toJSON(request)))}\n`);
  return new BinaryWriter().bytes(EnrollRequest.encode(request).finish()).finish();
}
