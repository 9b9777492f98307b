/** Reads a file of records into the store. */
import { extname } from 'node:path';
import { Piscina } from 'piscina';
import { v7 as newId } from 'uuid';
import type { Author } from '../../store/history-rows.ts';
import type { ImportRefusal, Imports, ImportState, ImportStep } from '../../store/imports.ts';
import type { SubjectWithReferences } from '../../store/records.ts';
import { asFailure, Failure } from '../../failure.ts';
import { contentOf, type FileContent } from '../../files/file-digest.ts';
import {
  recordTooLarge,
  refusalOf,
  type PreparationRules,
  type PreparedPiece,
  type PreparedRecord,
  type RefusedRecord,
} from './preparation.ts';
import { namesIn, type RecordNames } from './record-names.ts';
import { formatOf, readPieces, unreadable, type RecordFormat, type RecordPiece } from './record-file.ts';
import type { PieceTask } from './worker.ts';

/** A few hundred records: their transaction takes a fraction of a second, and other writers wait only briefly. */
const PIECE_BYTES = 1 << 19;
/** Pieces beyond one for each thread: prepared while the store writes the previous one. */
const PIECES_AHEAD = 2;

/** Decides which records may be stored, in the order of the file. */
export interface RecordAdmission {
  /** @throws Failure that refuses the record */
  admit(subject: PreparedRecord['subject']): void;
  /** Called for an admitted record that was not stored after all: it was refused by the store, or is there already. */
  withdraw(subject: PreparedRecord['subject']): void;
}

export interface ImportOptions {
  readonly file: string;
  /** Of the file; default: it is read for it. */
  readonly content?: FileContent;
  readonly imports: Imports;
  readonly rules: PreparationRules;
  readonly admission: RecordAdmission;
  /** Named in the histories of the subjects; not given: no client. */
  readonly author?: Author;
  /** Threads that prepare records. */
  readonly workers: number;
  /** Size of a piece; default: PIECE_BYTES. */
  readonly pieceBytes?: number;
  /** Called with the enrolled subjects, after they are stored, in order of their ids. */
  readonly onEnrolled: (
    subjects: readonly SubjectWithReferences[],
    packed: ReadonlyMap<string, Uint8Array>,
  ) => Promise<void>;
  readonly onProgress: (progress: ImportProgress) => void;
  /** Called at once with new galleries: an interrupted import has reported them, too. */
  readonly onNewGalleries: (names: readonly string[]) => void;
}

export interface ImportProgress extends ImportState {
  /** File size in bytes. */
  readonly size: number;
}

export interface ImportedFile {
  /** SHA-256 of the content, which identifies the file. */
  readonly digest: Buffer;
  /** Progress of an interrupted earlier import of the file. */
  readonly before: ImportState;
  readonly state: ImportState;
  /** Number of subjects enrolled now with a warning, by its code. */
  readonly warnings: ReadonlyMap<string, number>;
  /** Galleries that had no subject before, sorted: a mistyped name shows here. */
  readonly newGalleries: readonly string[];
}

/** A piece of the file, and its result from a thread. */
interface PieceUnderWay extends RecordPiece {
  readonly result: Promise<PreparedPiece>;
}

/**
 * Enrols the records of a file in their order, piece by piece. A transaction stores the progress with the subjects:
 * after an interruption, the next import of the file resumes there. A record enrolled before, by an import or a call,
 * is counted and left unchanged. Memory use does not depend on the size of the file.
 * @throws Failure IMPORT_FILE_UNREADABLE, RECORD_FORMAT_UNKNOWN, IMPORT_FILE_DAMAGED, IMPORT_UNDER_WAY; reasons of the
 * store. Records imported before stay.
 */
export async function importFile(order: ImportOptions): Promise<ImportedFile> {
  const { file, imports, rules } = order;
  const format = formatOf(file);
  const { digest, size } = order.content ?? (await identify(file));
  const before = await imports.begin(digest);
  const pool = new Piscina<PieceTask, PreparedPiece>({
    // .ts in the sources, .js in the build.
    filename: new URL(`./worker${extname(import.meta.url)}`, import.meta.url).href,
    minThreads: order.workers,
    maxThreads: order.workers,
    idleTimeout: Infinity,
    workerData: rules,
    recordTiming: false,
  });
  const underWay: PieceUnderWay[] = [];
  let state = before;
  const found: Found = { warnings: new Map(), newGalleries: new Set() };
  const takeNext = async () => {
    const piece = underWay.shift();
    if (piece === undefined) return;
    state = await takePiece(order, digest, state, piece, found);
    order.onProgress({ ...state, size });
  };
  order.onProgress({ ...state, size });
  try {
    const { maxRecordBytes } = rules;
    for await (const piece of readPieces(file, {
      format,
      from: before.offset,
      size,
      pieceBytes: order.pieceBytes ?? PIECE_BYTES,
      maxRecordBytes,
    })) {
      const result = prepare(pool, piece, format, maxRecordBytes);
      // `takePiece` handles the error; until then it must not count as unhandled.
      result.catch(() => undefined);
      underWay.push({ ...piece, result });
      if (underWay.length >= order.workers + PIECES_AHEAD) await takeNext();
    }
    while (underWay.length > 0) await takeNext();
    const { warnings, newGalleries } = found;
    return { digest, before, state, warnings, newGalleries: [...newGalleries].sort() };
  } catch (error) {
    // Records before the damage are still imported.
    if (error instanceof Failure && error.reason === 'IMPORT_FILE_DAMAGED')
      while (underWay.length > 0) await takeNext();
    throw error;
  } finally {
    await pool.destroy();
  }
}

async function prepare(
  pool: Piscina<PieceTask, PreparedPiece>,
  { bytes, isTooLarge }: RecordPiece,
  format: RecordFormat,
  maxRecordBytes: number,
): Promise<PreparedPiece> {
  if (!isTooLarge) return pool.run({ bytes, format }, { transferList: [bytes.buffer] });
  const refusal = refusalOf(recordTooLarge(maxRecordBytes), namesIn(bytes, format));
  return { count: 1, prepared: [], refused: [{ position: 0, refusal }] };
}

/** Findings about the records enrolled so far. */
interface Found {
  readonly warnings: Map<string, number>;
  readonly newGalleries: Set<string>;
}

async function takePiece(
  { imports, admission, author, onEnrolled, onNewGalleries }: ImportOptions,
  digest: Buffer,
  state: ImportState,
  { start, end, result }: PieceUnderWay,
  { warnings, newGalleries }: Found,
): Promise<ImportState> {
  const { count, ...piece } = await result;
  const { prepared, refused } = admitted(piece, admission);
  // Counted from 1, like lines.
  const numberOf = (position: number) => state.records + position + 1;
  const step: ImportStep = {
    from: start,
    to: end,
    records: count,
    enrolments: prepared.map(({ subject, references, clientRequest }) => ({
      // Ascending ids: rows of one import lie together, and an index build reads the prepared references in its order.
      subject: { subjectId: newId(), ...subject },
      references,
      clientRequest,
    })),
    ...(author !== undefined && { author }),
    refused: refused.map(({ position, refusal }) => ({ record: numberOf(position), ...refusal })),
    refusalOf: (enrolment, failure): ImportRefusal => {
      const { position, subject } = prepared[enrolment];
      return { record: numberOf(position), ...refusalOf(failure, namesOf(subject)) };
    },
  };
  const { outcomes, state: next, newGalleries: newHere } = await imports.take(digest, step);
  if (newHere.length > 0) onNewGalleries(newHere);
  for (const name of newHere) newGalleries.add(name);
  outcomes.forEach((outcome, i) => {
    const { subject, warnings: oddities } = prepared[i];
    if ('failure' in outcome || outcome.repeated) {
      admission.withdraw(subject);
      return;
    }
    for (const code of new Set(oddities.map((warning) => warning.code))) {
      warnings.set(code, (warnings.get(code) ?? 0) + 1);
    }
  });
  const enrolled = outcomes.filter((outcome) => !('failure' in outcome) && !outcome.repeated);
  await onEnrolled(enrolled as SubjectWithReferences[], new Map(prepared.flatMap(({ packed }) => [...packed])));
  return next;
}

/** The records of a piece that may be stored; the others are refused. */
function admitted(
  piece: Pick<PreparedPiece, 'prepared' | 'refused'>,
  admission: RecordAdmission,
): Pick<PreparedPiece, 'prepared' | 'refused'> {
  const prepared: PreparedRecord[] = [];
  const refused: RefusedRecord[] = [...piece.refused];
  for (const record of piece.prepared) {
    const { position, subject } = record;
    try {
      admission.admit(subject);
      prepared.push(record);
    } catch (thrown) {
      refused.push({ position, refusal: refusalOf(asFailure(thrown), namesOf(subject)) });
    }
  }
  return { prepared, refused };
}

function namesOf({ contributor, externalId = '' }: PreparedRecord['subject']): RecordNames {
  return { contributor, externalId };
}

/** What identifies a file of records. @throws Failure IMPORT_FILE_UNREADABLE */
export async function identify(file: string): Promise<FileContent> {
  try {
    return await contentOf(file);
  } catch (cause) {
    throw unreadable(file, cause);
  }
}
