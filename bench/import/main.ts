/**
 * `ridgewatch import` of a large file: throughput, recovery after SIGKILL, the index build after it, and the service
 * start.
 *
 *   npm run bench -- import [--references 300000] [--fingers-only] [--format binpb|ndjson] [--kills 3] [--workers N] [--json]
 *
 * A subject has two fingers and a face: three references. --fingers-only: two fingers, the most work per reference. The
 * templates of a thousand synthetic people are used repeatedly under other external ids; each is encoded again. One
 * record in a thousand is malformed and must be reported. A second, smaller import is killed --kills times at random
 * moments and resumed. All counts are compared with the file.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Provenance, type EnrollRequest } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { Modality, type Sample } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { createPerson } from '../../fixtures/person.ts';
import { Random } from '../../src/random.ts';
import { demoSamples } from '../../src/service/demo-gallery.ts';
import { recordBytes } from '../../src/transfer/export.ts';
import { formatOf } from '../../src/transfer/import/record-file.ts';
import { SEEDS } from '../harness/seeds.ts';
import { inWords } from '../harness/words.ts';
import { endProcess, ROOT, serviceEnvironment, startCommand, startProcess } from '../service/process.ts';
import { programFile } from '../service/program-file.ts';
import { UNLIMITED } from '../../src/store/records.ts';

const { values: options } = parseArgs({
  options: {
    references: { type: 'string', default: '300000' },
    'fingers-only': { type: 'boolean', default: false },
    format: { type: 'string', default: 'binpb' },
    kills: { type: 'string', default: '3' },
    workers: { type: 'string', default: String(availableParallelism()) },
    json: { type: 'boolean', default: false },
  },
});
const [references, kills] = [options.references, options.kills].map(Number);
const { format, workers } = options;
/** Moments of the kills. */
const moments = new Random(SEEDS.kills);
const DISTINCT = 1000;
const BAD_EVERY = 1000;
/** Enough records for a kill during the import. */
const MIN_KILLED = 20_000;
const ENVIRONMENT = { RIDGEWATCH_FACE_MODELS: 'synthetic-512:512', RIDGEWATCH_DEMO: 'never' };

interface Imported {
  readonly records: number;
  readonly enrolled: number;
  readonly references: number;
  readonly enrolled_before: number;
  readonly refused: number;
  readonly resumed_at_record: number;
  readonly seconds: number;
  readonly references_per_second: number;
}

const people = Array.from({ length: DISTINCT }, (_, i) =>
  demoSamples(createPerson(SEEDS.enrolled, i), 0).filter(
    ({ modality }) => !options['fingers-only'] || modality === Modality.FINGER,
  ),
);
const perSubject = people[0].length;
const subjects = Math.ceil(references / perSubject);
const directory = mkdtempSync(join(tmpdir(), 'ridgewatch-import-'));
try {
  const dataDir = join(directory, 'data');
  const [large, small] = ['large', 'small'].map((name) => join(directory, `${name}.${format}`));
  await writeRecords(large, 'large', subjects);
  const fewer = Math.max(MIN_KILLED, Math.ceil(subjects / 10));
  await writeRecords(small, 'small', fewer);

  const whole = importFile(dataDir, large);
  const killed = await killAndGoOn(dataDir, small);
  const again = importFile(dataDir, small);
  const built = run(['index', 'build', '--publish', '--workers', workers], dataDir) as Record<string, number>;
  const started = performance.now();
  const { child } = await startProcess(dataDir, ENVIRONMENT);
  const startSeconds = (performance.now() - started) / 1000;
  await endProcess(child);

  const [wholeLost, killedLost] = [lostOf(whole, subjects), lostOf(killed, fewer)];
  const report = {
    workers: Number(workers),
    file: `${format}, ${Math.round(statSync(large).size / 1e6)} MB`,
    'references of a subject': perSubject,
    references: whole.references,
    'imported in, s': Number(whole.seconds.toFixed(1)),
    'references/s': whole.references_per_second,
    'refused, as they should be': whole.refused,
    'lost or doubled': wholeLost,
    'killed on the way': kills,
    'lost or doubled after kills': killedLost,
    'imported once more: enrolled, known': `${again.enrolled}, ${again.enrolled_before}`,
    'index built in, s': Number(built.seconds.toFixed(1)),
    'references that were prepared already': `${built.reused} of ${built.references}`,
    'import and index, references/s': Math.round(built.references / (whole.seconds + killed.seconds + built.seconds)),
    'service started in, s': Number(startSeconds.toFixed(1)),
  };
  if (options.json) console.log(JSON.stringify(report));
  else console.dir(inWords(report));
  process.exitCode = wholeLost + killedLost + again.enrolled === 0 ? 0 : 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}

/** Difference between the imported content and that of the file. */
function lostOf(
  { enrolled, references: enrolledReferences, refused, enrolled_before }: Imported,
  records: number,
): number {
  const bad = Math.ceil(records / BAD_EVERY);
  return (
    Math.abs(records - bad - enrolled) +
    Math.abs(perSubject * (records - bad) - enrolledReferences) +
    Math.abs(bad - refused) +
    enrolled_before
  );
}

async function writeRecords(file: string, name: string, count: number): Promise<void> {
  const records = function* () {
    for (let i = 0; i < count; i++) {
      const request: EnrollRequest = {
        data: {
          contributor: 'bench',
          externalId: `${name}-${i}`,
          galleries: ['watchlist'],
          caveats: [],
          provenance: Provenance.SYNTHETIC,
          ...UNLIMITED,
        },
        samples: i % BAD_EVERY === 0 ? [spoilt(people[i % DISTINCT][0])] : people[i % DISTINCT],
        clientRequestId: '',
      };
      yield recordBytes(request, formatOf(file));
    }
  };
  await pipeline(Readable.from(records()), createWriteStream(file));
}

function spoilt(sample: Sample): Sample {
  return { ...sample, data: sample.data.subarray(0, 40) };
}

function importFile(dataDir: string, file: string): Imported {
  return run(['import', file, '--workers', workers], dataDir) as Imported;
}

/** Runs a command to its end. */
function run(args: readonly string[], dataDir: string): unknown {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [programFile, ...args, '--data-dir', dataDir, '--json'],
    { cwd: ROOT, env: serviceEnvironment(ENVIRONMENT), encoding: 'utf8' },
  );
  // 4: some records were refused, as expected.
  if (status !== 0 && status !== 4) throw new Error(`${args[0]} ended with ${status}: ${stderr}`);
  return JSON.parse(stdout);
}

async function killAndGoOn(dataDir: string, file: string): Promise<Imported> {
  for (let kill = 0; kill < kills; kill++) {
    const child = startCommand(['import', file, '--workers', workers], dataDir, ENVIRONMENT);
    const ended = once(child, 'exit');
    await Promise.race([delay(1500 + 1000 * moments.uniform()), ended]);
    if (child.exitCode !== null) throw new Error('the import ended before it was killed: give more --references');
    child.kill('SIGKILL');
    await ended;
  }
  return importFile(dataDir, file);
}
