/**
 * Imports a watchlist: writes it as records, imports them, builds an index and publishes it. Runs beside the service, on
 * the same machine and with the same settings (DATABASE_URL, RIDGEWATCH_…).
 *
 *   node docs/examples/watchlist/import-watchlist.ts --gallery watchlist docs/examples/templates/people
 *
 * Each sub-folder is one subject, named by the contributor's own key of the record.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** The command that `npm ci` builds. */
const RIDGEWATCH = resolve(import.meta.dirname, '../../../dist/src/cli/ridgewatch.sh');
/** Exit code of an import that refused some records and enrolled the others. */
const PARTLY_REFUSED = 4;

const { values, positionals } = parseArgs({
  options: {
    gallery: { type: 'string', default: 'watchlist' },
    contributor: { type: 'string', default: 'example' },
    model: { type: 'string', default: 'synthetic-512' },
    'data-dir': { type: 'string' },
    address: { type: 'string', default: '127.0.0.1:50151' },
    command: { type: 'string', default: RIDGEWATCH },
  },
  allowPositionals: true,
});

/** A record for `ridgewatch import`: an EnrollRequest of the contract, in the JSON form of protobuf. */
function record(folder: string): object {
  return {
    data: {
      contributor: values.contributor,
      external_id: basename(folder),
      galleries: [values.gallery],
      provenance: 'PROVENANCE_SYNTHETIC',
    },
    samples: readdirSync(folder).map((name) => sample(join(folder, name))),
    // A subject imported twice under the same id is enrolled once.
    client_request_id: `${values.gallery}-${basename(folder)}`,
  };
}

function sample(file: string): object {
  const bytes = readFileSync(file);
  const data = bytes.toString('base64');
  if (file.endsWith('.iso')) return { modality: 'MODALITY_FINGER', format: 'TEMPLATE_FORMAT_ISO_19794_2_2005', data };
  if (file.endsWith('.f32'))
    return {
      modality: 'MODALITY_FACE',
      format: 'TEMPLATE_FORMAT_FACE_EMBEDDING_FLOAT32',
      data,
      model_id: values.model,
      dimension: bytes.length / 4,
    };
  throw new Error(`${basename(file)}: this example reads .iso (finger minutiae) and .f32 (face embeddings).`);
}

/** Runs a command of Ridgewatch. @returns the document that it prints */
function ridgewatch<Document>(args: readonly string[], allowed: readonly number[]): Document {
  const store = values['data-dir'] === undefined ? [] : ['--data-dir', values['data-dir']];
  const run = spawnSync(values.command, [...args, ...store, '--json'], { encoding: 'utf8' });
  if (run.error !== undefined) throw run.error;
  if (!allowed.includes(run.status ?? -1))
    throw new Error(`ridgewatch ${args[0]} ended with ${run.status}: ${run.stderr.trim()}`);
  return JSON.parse(run.stdout) as Document;
}

interface Imported {
  readonly records: number;
  readonly enrolled: number;
  readonly enrolled_before: number;
  readonly refused: number;
  readonly new_galleries: readonly string[];
}

interface Built {
  readonly index: string;
  readonly subjects: number;
  readonly references: number;
}

function importWatchlist(folder: string, scratch: string): void {
  const people = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  if (people.length === 0) throw new Error(`${folder} has no sub-folders: each would be one subject.`);
  const [file, report] = [join(scratch, 'watchlist.ndjson'), join(scratch, 'refused.ndjson')];
  // The templates in it are not encrypted: only the owner may read it, and it is removed at the end.
  writeFileSync(file, people.map(({ name }) => `${JSON.stringify(record(join(folder, name)))}\n`).join(''), {
    mode: 0o600,
  });
  const imported = ridgewatch<Imported>(['import', file, '--report', report], [0, PARTLY_REFUSED]);
  console.log(
    `${imported.records} records: ${imported.enrolled} subjects enrolled, ${imported.enrolled_before} enrolled before, ${imported.refused} refused.`,
  );
  if (imported.new_galleries.length > 0)
    console.log(`No subject belonged to these galleries before: ${imported.new_galleries.join(', ')}.`);
  const built = ridgewatch<Built>(['index', 'build', '--publish', '--address', values.address], [0]);
  console.log(`Index ${built.index} of ${built.subjects} subjects with ${built.references} references is published.`);
  if (imported.refused > 0) {
    const refusals = readFileSync(report, 'utf8').trim().split('\n');
    const lines = refusals.map((line) => {
      const { record: number, reason, field } = JSON.parse(line) as { record: number; reason: string; field: string };
      return `  record ${number}: ${reason} (${field})`;
    });
    throw new Error(`${imported.refused} records were refused; the others are enrolled.\n${lines.join('\n')}`);
  }
}

const scratch = mkdtempSync(join(tmpdir(), 'watchlist-'));
try {
  const [folder] = positionals;
  if (folder === undefined || !existsSync(folder)) throw new Error('Name a folder with a sub-folder for each subject.');
  importWatchlist(folder, scratch);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
