import { LOCAL } from '../../access/local-client.ts';
import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import Table from 'cli-table3';
import { PreparedReferences } from '../../index-files/prepared-references.ts';
import { createFile, requireNew } from '../../files/durable-file.ts';
import { identify, importFile, type ImportedFile } from '../../transfer/import/import.ts';
import { formatOf, unreadable } from '../../transfer/import/record-file.ts';
import { INDEX_SHAPE } from '../../matching/workers/gallery-sizing.ts';
import { packedModels } from '../../matching/rates/model-version.ts';
import { sealersOf } from '../../security/block-sealer.ts';
import type { ImportRefusal, Imports } from '../../store/imports.ts';
import type { FileContent } from '../../files/file-digest.ts';
import { recorded } from '../command-audit.ts';
import { importAdmission } from '../import-admission.ts';
import { EXIT } from '../exit-codes.ts';
import { progressBar, printResult } from '../output.ts';
import { withStore, type StoreAccess, type StoreOptions } from '../store-access.ts';

export interface ImportOptions extends StoreOptions {
  readonly report?: string;
}

const SHOWN_REFUSALS = 10;
/** Galleries that the document names; it counts them all. */
const MAX_NAMED = 100;
const NAMED_IN_A_LINE = 20;

/** Enrols the records of a file. */
export async function importRecords([file]: readonly string[], options: ImportOptions): Promise<number> {
  const { report } = options;
  // Checked before a store is created for it.
  await requireFile(file);
  if (report !== undefined) requireNew(report);
  return withStore(options, (access) => importRecorded(file, access, options), 'either');
}

/** Imports a file, and records that it was imported. */
async function importRecorded(file: string, access: StoreAccess, options: ImportOptions): Promise<number> {
  const content = await identify(file);
  const facts = { file_digest: content.digest.toString('hex'), bytes: content.size };
  const { state } = await recorded(
    access,
    { command: 'import', facts },
    () => importInto(file, content, access, options),
    ({ before, state: { records, subjects, references, repeated, refused } }) => ({
      record_count: records,
      subject_count: subjects,
      reference_count: references,
      enrolled_before: repeated,
      refused_count: refused,
      resumed_at_record: before.records,
    }),
  );
  return state.refused > 0 ? EXIT.partlyRefused : EXIT.ok;
}

async function importInto(
  file: string,
  content: FileContent,
  access: StoreAccess,
  options: ImportOptions,
): Promise<ImportedFile> {
  const { configuration, store, keys } = access;
  const { indexDir, workers, faceModels, minimumQuality, maxMessageBytes } = configuration;
  const bar = progressBar('importing {bar} {percentage} %, {speed} references/s, ETA {eta_formatted}', options);
  const prepared = await PreparedReferences.begin(
    indexDir,
    INDEX_SHAPE,
    packedModels(),
    sealersOf(keys, 'index')(keys.ring.currentId),
  );
  const admission = await importAdmission(access);
  const since = new Date().toISOString();
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  let first: number | undefined;
  let imported: ImportedFile;
  try {
    imported = await importFile({
      file,
      content,
      imports: store.imports,
      admission,
      author: { clientId: LOCAL.clientId, agency: LOCAL.agency },
      workers,
      rules: {
        faceModels: new Map(faceModels.map((model) => [model.id, model])),
        minimumQuality,
        maxRecordBytes: maxMessageBytes,
      },
      onEnrolled: (subjects, packed) => prepared.add(subjects, packed),
      onNewGalleries: (names) => {
        if (options.json !== true) process.stderr.write(`${newGalleriesLine(names)}\n`);
      },
      onProgress: ({ offset, size, references }) => {
        if (first === undefined) bar.start(size, offset, { speed: '' });
        first ??= references;
        bar.update(offset, { speed: String(Math.round((references - first) / seconds())) });
      },
    });
  } finally {
    bar.stop();
    await prepared.close();
  }
  await conclude(file, imported, store.imports, { since, seconds: seconds() }, options);
  return imported;
}

/** @throws Failure RECORD_FORMAT_UNKNOWN, IMPORT_FILE_UNREADABLE */
async function requireFile(file: string): Promise<void> {
  let found: Stats | undefined;
  let cause: unknown;
  try {
    found = await stat(file);
  } catch (error) {
    cause = error;
  }
  // For a folder or a device, the fault to report is not the extension.
  if (found !== undefined && !found.isFile()) throw unreadable(file, cause);
  formatOf(file);
  if (found === undefined) throw unreadable(file, cause);
}

/** Writes the report, and only then deletes the state of the import. */
async function conclude(
  file: string,
  { digest, before, state, warnings, newGalleries }: ImportedFile,
  imports: Imports,
  { since, seconds }: { readonly since: string; readonly seconds: number },
  options: ImportOptions,
): Promise<void> {
  const { report } = options;
  const byReason = new Map<string, number>();
  const shown: ImportRefusal[] = [];
  const lines = async function* () {
    for await (const refusal of imports.refusals(digest)) {
      byReason.set(refusal.reason, (byReason.get(refusal.reason) ?? 0) + 1);
      if (shown.length < SHOWN_REFUSALS) shown.push(refusal);
      const { externalId, ...rest } = refusal;
      yield `${JSON.stringify({ ...rest, external_id: externalId })}\n`;
    }
  };
  if (report === undefined) for await (const line of lines()) void line;
  // Complete or absent: a truncated report would hide missing records.
  else await createFile(report, (draft) => draft.writeFile(lines()));
  await imports.end(digest);
  const document = {
    file,
    records: state.records,
    enrolled: state.subjects,
    references: state.references,
    enrolled_before: state.repeated,
    refused: state.refused,
    refused_by_reason: Object.fromEntries(byReason),
    warned_by_code: Object.fromEntries(warnings),
    new_gallery_count: newGalleries.length,
    new_galleries: newGalleries.slice(0, MAX_NAMED),
    ...(report !== undefined && { report }),
    resumed_at_record: before.records,
    since,
    seconds,
    references_per_second: Math.round((state.references - before.references) / seconds),
  };
  printResult(options, document, summary(document, shown));
}

interface Summary {
  readonly records: number;
  readonly enrolled: number;
  readonly references: number;
  readonly enrolled_before: number;
  readonly refused: number;
  readonly refused_by_reason: Readonly<Record<string, number>>;
  readonly warned_by_code: Readonly<Record<string, number>>;
  readonly new_galleries: readonly string[];
  readonly report?: string;
  readonly resumed_at_record: number;
  /** When this run began, in ISO 8601: its subjects are enrolled since then. */
  readonly since: string;
  readonly seconds: number;
  readonly references_per_second: number;
}

function summary(document: Summary, shown: readonly ImportRefusal[]): string {
  const { records, enrolled, references, enrolled_before, refused, report, seconds } = document;
  const lines = [
    `${records} records: ${enrolled} subjects enrolled with ${references} references, ${enrolled_before} enrolled before, ${refused} refused.`,
  ];
  if (document.resumed_at_record > 0)
    lines.push(`An interrupted import was resumed at record ${document.resumed_at_record + 1}.`);
  lines.push(`${document.references_per_second} references/s for ${seconds.toFixed(1)} s.`);
  if (refused > 0) {
    const table = new Table({
      head: ['record', 'external id', 'reason', 'field', 'what is wrong'],
      style: { head: [], border: [] },
    });
    for (const { record, externalId, reason, field, message } of shown)
      table.push([record, externalId, reason, field, message]);
    const reasons = Object.entries(document.refused_by_reason).map(([reason, count]) => `${reason} ${count}`);
    lines.push(`Refused: ${reasons.join(', ')}.`, table.toString());
    if (report !== undefined) lines.push(`All of them are in ${report}.`);
    else if (refused > shown.length) lines.push('These are the first; --report writes all of them to a file.');
  }
  const warned = Object.entries(document.warned_by_code).map(([code, count]) => `${code} ${count}`);
  if (warned.length > 0) lines.push(`Enrolled with warnings: ${warned.join(', ')}; docs/errors.md explains them.`);
  if (document.new_galleries.length > 0) lines.push(newGalleriesLine(document.new_galleries));
  if (enrolled > 0) {
    lines.push('Next: "ridgewatch index build --publish", which reuses the references prepared here.');
    lines.push(
      `With a running service, "ridgewatch dedup --since ${document.since}" then searches for subjects of this run that were enrolled before.`,
    );
  }
  return lines.join('\n');
}

/** Only this line reveals a mistyped name: searches of the right gallery would not find these people. */
function newGalleriesLine(names: readonly string[]): string {
  const more = names.length > NAMED_IN_A_LINE ? ` and ${names.length - NAMED_IN_A_LINE} more` : '';
  return `No subject belonged to these galleries before: ${names.slice(0, NAMED_IN_A_LINE).join(', ')}${more}.`;
}
