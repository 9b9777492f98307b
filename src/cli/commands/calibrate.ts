import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { newFileRefused, replaceFile } from '../../files/durable-file.ts';
import { Failure } from '../../failure.ts';
import { FACE_TABLE_UNITS } from '../../matching/rates/calibrations.ts';
import { scoreOfCosineOne } from '../../matching/kernels/similarity.ts';
import { calibrationFile, type CalibrationSubject } from '../../matching/rates/calibration-file.ts';
import { makeTable, TABLE_STEPS, type ScoreHistogram } from '../../matching/rates/calibration-table.ts';
import { compareNonMated, type LabelledTemplate } from '../../matching/workers/non-mated-scores.ts';
import { decodeEmbeddingRows } from '../../templates/embedding-rows.ts';
import { EXIT } from '../exit-codes.ts';
import { progressBar } from '../output.ts';
import type { SubjectFiles } from '../template-folders.ts';
import { decodeFile, groupFiles, groupPattern, readTemplateFile, type FileOptions } from '../template-files.ts';

/** Options of `ridgewatch calibrate`. */
export interface CalibrateOptions {
  readonly data: readonly string[];
  readonly groupBy?: string | undefined;
  /** Each sub-folder is one person, whatever the names of its files. */
  readonly eachFolderAPerson?: boolean | undefined;
  /** `id:dimension`; for faces only. */
  readonly model?: string | undefined;
  readonly out: string;
  readonly force?: boolean | undefined;
  readonly json?: boolean | undefined;
}

/** With fewer people a table has no data at the rates of useful thresholds. */
const MIN_PEOPLE = 30;
/**
 * The person of a file directly in a folder, unless --group-by is given: `<person>_<impression>`, or
 * `<person>_<finger>_<impression>`. Taking one person for several would count mated comparisons as non-mated.
 */
const PERSON_OF_NAME = /^(.+?)(?:_.*)?\.[^.]*$/;
/** Names of files in a sub-folder may also begin with a person. */
const BEGINNING = /^([^_]+)_/;
/** Concatenated embeddings, and their people, see embedding-rows.ts. */
const [ROWS, LABELS] = ['embeddings.f32', 'embeddings.tsv'];

/** Measures the distribution of non-mated scores in the folders, and writes the table. */
export async function calibrate([modality]: readonly string[], options: CalibrateOptions): Promise<number> {
  const subject = subjectOf(modality, options.model);
  if (existsSync(options.out) && options.force !== true) {
    const sentence = `${options.out} already exists: name a new file, or give --force.`;
    throw new Failure('invalid-argument', 'OUTPUT_EXISTS', sentence);
  }
  requireFolder(options.out);
  const sets = options.data.map((folder) => ({ folder, templates: readLabelled(folder, subject, options) }));
  const histograms: ScoreHistogram[] = [];
  const bar = progressBar('comparing {bar} {percentage} % {duration_formatted}', options);
  const total = sets.reduce((sum, { templates }) => sum + templates.length, 0);
  bar.start(total, 0);
  try {
    for (const { folder, templates } of sets) {
      const counts = await compareNonMated(templates, unitOf(subject), () => bar.increment());
      const comparisons = [...counts.values()].reduce((sum, count) => sum + count, 0);
      if (comparisons === 0) {
        const sentence = `No two templates of different people in ${folder} can be compared.`;
        throw new Failure('invalid-argument', 'NOT_COMPARABLE', sentence);
      }
      histograms.push({ name: basename(folder), counts, total: comparisons });
    }
  } finally {
    bar.stop();
  }
  const table = makeTable(histograms, TABLE_STEPS[subject.modality]);
  // A table whose rate does not fall at its end would claim one rate for all higher scores.
  if (table.scores.length < 2 || table.milliLog10PerStep >= 0) {
    const sentence = 'The scores of different people hardly differ: no rates can be derived from them.';
    throw new Failure('invalid-argument', 'TOO_FEW_SCORES', sentence);
  }
  await writeTable(options.out, calibrationFile(subject, table));
  const measuredLog10 = (table.milliLog10Fmr[table.scores.indexOf(table.measuredTo)] ?? 0) / 1000;
  const summary = {
    file: options.out,
    version: table.version,
    sources: sets.map(({ folder, templates }, i) => ({
      folder,
      people: new Set(templates.map(({ person }) => person)).size,
      templates: templates.length,
      comparisons: histograms[i].total,
    })),
    measured_to_log10_fmr: measuredLog10,
  };
  process.stdout.write(options.json === true ? `${JSON.stringify(summary)}\n` : inWords(summary, subject));
  return EXIT.ok;
}

async function writeTable(file: string, content: string): Promise<void> {
  try {
    await replaceFile(file, content, 0o644);
  } catch (cause) {
    throw newFileRefused(file, cause);
  }
}

/** Checked first, because the work takes minutes. */
function requireFolder(file: string): void {
  if (existsSync(dirname(file))) return;
  const sentence = `The file ${file} cannot be written: its folder does not exist.`;
  throw new Failure('invalid-argument', 'OUTPUT_UNWRITABLE', sentence);
}

function subjectOf(modality: string, model: string | undefined): CalibrationSubject {
  if (modality === 'finger') {
    if (model === undefined) return { modality };
    throw new Failure('invalid-argument', 'NOT_FOR_A_FINGER', '--model is for faces: the finger model is built in.');
  }
  const match = /^([a-z0-9._-]{1,64}):(\d{1,4})$/.exec(model ?? '');
  if (match === null) {
    throw new Failure(
      'invalid-argument',
      'MODEL_REQUIRED',
      'Name the model that made the embeddings: --model id:dimension.',
    );
  }
  return { modality: 'face', model: match[1], dimension: Number(match[2]) };
}

/** Score per unit of the table. */
function unitOf(subject: CalibrationSubject): number {
  return subject.modality === 'finger' ? 1 : scoreOfCosineOne(subject.dimension) / FACE_TABLE_UNITS;
}

/** @throws Failure that names the file that is unreadable, of the other modality, or of another dimension */
function readLabelled(
  folder: string,
  subject: CalibrationSubject,
  { groupBy, eachFolderAPerson }: CalibrateOptions,
): LabelledTemplate[] {
  if (subject.modality === 'face' && existsSync(join(folder, ROWS))) return readRows(folder, subject);
  const options: FileOptions = { model: subject.modality === 'face' ? subject.model : undefined, position: 0 };
  const people = groupFiles(folder, groupPattern(groupBy) ?? PERSON_OF_NAME);
  if (eachFolderAPerson !== true) requireFolderEach(folder, people);
  requirePeople(folder, people.length);
  return people.flatMap(({ externalId, files }) =>
    files.flatMap((file) => {
      const sample = readTemplateFile(file, options);
      const isOther =
        sample.modality !== subject.modality || (subject.modality === 'face' && sample.dimension !== subject.dimension);
      if (isOther) {
        const wanted = subject.modality === 'finger' ? 'a finger' : `a face of ${subject.dimension} components`;
        throw new Failure('invalid-argument', 'MODALITY_MISMATCH', `${file} is not ${wanted}.`);
      }
      return decodeFile(file, sample).map((template) => ({ person: externalId, template }));
    }),
  );
}

/**
 * A folder of databases, each with prints of many people, looks like a folder of people. Prints of one database would
 * then not be compared, and the table would not show it. The fingers of one person can have such names, too: the user
 * decides.
 * @throws Failure GROUPING_AMBIGUOUS
 */
function requireFolderEach(folder: string, people: readonly SubjectFiles[]): void {
  for (const { externalId, files } of people) {
    const names = files.filter((file) => dirname(relative(folder, file)) !== '.').map((file) => basename(file));
    const beginnings = new Set(names.flatMap((name) => BEGINNING.exec(name)?.[1] ?? []));
    if (beginnings.size < 2) continue;
    const sentence = `The files of the sub-folder ${externalId} of ${folder} can be of one person, or, by the beginning of their names, of ${beginnings.size} (${names[0] ?? ''}). Give the sub-folder itself (--data ${join(folder, externalId)}), or --each-folder-a-person.`;
    throw new Failure('invalid-argument', 'GROUPING_AMBIGUOUS', sentence);
  }
}

function requirePeople(folder: string, people: number): void {
  if (people >= MIN_PEOPLE) return;
  const sentence = `${folder} has ${people} people; measuring false match rates takes at least ${MIN_PEOPLE}.`;
  throw new Failure('invalid-argument', 'TOO_FEW_PEOPLE', sentence);
}

/** Reads embeddings from one file, the usual form of data sets. */
function readRows(folder: string, { model, dimension }: CalibrationSubject & { modality: 'face' }): LabelledTemplate[] {
  const read = (name: string) => {
    try {
      return readFileSync(join(folder, name));
    } catch {
      throw new Failure('invalid-argument', 'FILE_UNREADABLE', `The file ${join(folder, name)} cannot be read.`);
    }
  };
  const [rows, labels] = [read(ROWS), read(LABELS).toString('utf8')];
  try {
    const faces = decodeEmbeddingRows(rows, labels, { modelId: model, dimension, quality: 0 });
    requirePeople(folder, new Set(faces.map(({ person }) => person)).size);
    return faces;
  } catch (error) {
    if (!(error instanceof Failure) || error.reason === 'TOO_FEW_PEOPLE') throw error;
    throw new Failure(error.kind, error.reason, `${join(folder, ROWS)}: ${error.message}`, error.detail);
  }
}

interface Summary {
  readonly file: string;
  readonly version: string;
  readonly sources: readonly {
    readonly folder: string;
    readonly people: number;
    readonly templates: number;
    readonly comparisons: number;
  }[];
  readonly measured_to_log10_fmr: number;
}

function inWords({ file, version, sources, measured_to_log10_fmr: measured }: Summary, subject: CalibrationSubject) {
  const count = new Intl.NumberFormat('en');
  const lines = sources.map(
    ({ folder, people, templates, comparisons }) =>
      `${folder}: ${count.format(people)} people, ${count.format(templates)} templates, ${count.format(comparisons)} comparisons of different people.`,
  );
  const models =
    subject.modality === 'face' ? `, with ${subject.model}:${subject.dimension} in RIDGEWATCH_FACE_MODELS` : '';
  return `${[
    ...lines,
    `Measured down to a false match rate of 1 in ${count.format(Math.round(10 ** -measured))}; beyond that the table is extrapolated.`,
    `Written: ${file}, version ${version}. The service takes it from RIDGEWATCH_CALIBRATIONS${models}.`,
  ].join('\n')}\n`;
}
