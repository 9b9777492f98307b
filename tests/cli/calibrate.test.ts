import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createPerson } from '../../fixtures/person.ts';
import type { GetStatusResponse } from '../../src/contract/generated/ridgewatch/v1/operations.ts';
import { Modality } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { readCalibrations } from '../../src/matching/rates/calibration-file.ts';
import { Calibrations, SHIPPED_CALIBRATIONS } from '../../src/matching/rates/calibrations.ts';
import { callsOf, enrolPerson, runService, samplesOf } from '../api/running-service.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { ridgewatch } from './command.ts';

const calibrate = (...args: string[]) => ridgewatch(['calibrate', ...args]);

const PEOPLE = 36;
let folder: string;
let cluster: TestCluster;

const at = (name: string) => join(folder, name);

beforeAll(async () => {
  cluster = await startTestCluster();
  folder = temporaryDirectory();
  for (let i = 0; i < PEOPLE; i++) {
    const person = createPerson(0xca11b, i);
    for (const kind of ['prints', 'faces']) mkdirSync(at(`${kind}/p-${i}`), { recursive: true });
    for (const capture of [0, 1]) {
      writeFileSync(at(`prints/p-${i}/${capture}.iso`), person.fingerRecord(2, capture));
      writeFileSync(at(`faces/p-${i}/${capture}.f32`), new Uint8Array(person.faceEmbedding(capture).buffer));
    }
  }
});
afterAll(() => cluster.stop());

it('measures non-mated comparisons, and the service accepts the table', async () => {
  const finger = await calibrate('finger', '--data', at('prints'), '--out', at('finger.json'), '--json');
  expect(finger.code).toBe(0);
  const summary = JSON.parse(finger.stdout) as { version: string; sources: object[] };
  // Two templates each: all pairs but those of one person.
  expect(summary.sources).toMatchObject([{ people: PEOPLE, templates: 72, comparisons: (72 * 71) / 2 - PEOPLE }]);
  const face = await calibrate('face', '--data', at('faces'), '--model', 'synthetic-512:512', '--out', at('face.json'));
  expect([face.code, face.stderr]).toEqual([0, '']);
  expect(face.stdout).toContain(`${PEOPLE} people, 72 templates`);

  const running = await runService(await cluster.createDatabase(), {
    RIDGEWATCH_CALIBRATIONS: `${at('finger.json')}, ${at('face.json')}`,
  });
  try {
    const table = (name: string) => JSON.parse(readFileSync(at(name), 'utf8')) as { version: string } & object;
    const status = await new Promise<GetStatusResponse>((done, fail) =>
      running.operations.getStatus({}, (error, response) => (error === null ? done(response) : fail(error))),
    );
    expect(status.modelVersions.map(({ calibration }) => calibration)).toEqual([
      summary.version,
      table('face.json').version,
    ]);
    await enrolPerson(running, 1);
    const { identify } = callsOf(() => running);
    const { candidates, modelVersions } = await identify(samplesOf(1, 1), {
      threshold: { $case: 'maxLog10Fmr', value: 0 },
    });
    expect(modelVersions.map(({ calibration }) => calibration)).toContain(summary.version);
    const scores = candidates[0]?.scores ?? [];
    expect(scores.length).toBeGreaterThan(1);
    const kind = { modelId: 'synthetic-512', dimension: 512 };
    const own = new Calibrations(readCalibrations([at('finger.json'), at('face.json')], [kind]));
    for (const { modality, score, log10Fmr } of scores) {
      const calibration = modality === Modality.FINGER ? own.finger : own.face(kind);
      expect(log10Fmr).toBe(calibration.rate(score).log10Fmr);
    }
  } finally {
    await running.stop();
  }
  // Another service in the same process, without its own tables, uses the shipped ones.
  const plain = await runService(await cluster.createDatabase());
  try {
    const { modelVersions } = await callsOf(() => plain).status();
    const calibrations = modelVersions.map(({ calibration }) => calibration);
    expect(calibrations).toContain(SHIPPED_CALIBRATIONS.finger.version);
    expect(calibrations).not.toContain(summary.version);
  } finally {
    await plain.stop();
  }
});

it('groups the files of one folder by the person in their names', async () => {
  const sizes = async (data: string, ...more: string[]) => {
    const { code, stdout } = await calibrate(
      'finger',
      '--data',
      at(data),
      '--out',
      at(`${data}.json`),
      '--json',
      ...more,
    );
    expect(code).toBe(0);
    return (JSON.parse(stdout) as { version: string; sources: object[] }).sources;
  };
  // Two fingers and two impressions per person: no pair of one person counts as non-mated.
  for (const data of ['flat', 'flat-dashes']) mkdirSync(at(data));
  for (let i = 0; i < PEOPLE; i++) {
    for (const [finger, capture] of [
      [2, 0],
      [2, 1],
      [7, 0],
    ] as const) {
      const record = createPerson(0xca11b, i).fingerRecord(finger, capture);
      writeFileSync(at(`flat/${i}_${finger}_${capture}.iso`), record);
      writeFileSync(at(`flat-dashes/${i}-${finger}-${capture}.iso`), record);
    }
  }
  const sources = [{ people: PEOPLE, templates: 108, comparisons: (108 * 107) / 2 - 3 * PEOPLE }];
  expect(await sizes('flat')).toMatchObject(sources);
  expect(await sizes('flat-dashes', '--group-by', '^(\\d+)-')).toMatchObject(sources);
});

it('reads embeddings of one file and names faults in it', async () => {
  const embeddings = Array.from({ length: PEOPLE }, (_, i) =>
    [0, 1].map((c) => createPerson(0xca11b, i).faceEmbedding(c)),
  );
  const rows = embeddings.flat().map((embedding) => Buffer.from(new Uint8Array(embedding.buffer)));
  const labels = embeddings.flatMap((_, i) => [`p-${i}\t0`, `p-${i}\t1`]);
  const broken = rows.with(5, Buffer.from(rows[5]).fill(0xff, 8, 12));
  const run = async (name: string, bytes: readonly Buffer[], lines: readonly string[], model: string) => {
    mkdirSync(at(name));
    writeFileSync(at(`${name}/embeddings.f32`), Buffer.concat(bytes));
    writeFileSync(at(`${name}/embeddings.tsv`), ['person\timage', ...lines].join('\n'));
    return calibrate('face', '--data', at(name), '--model', model, '--out', at(`${name}.json`), '--json');
  };
  const made = await run('rows', rows, labels, 'synthetic-512:512');
  const folders = await calibrate('face', '--data', at('faces'), '--model', 'm:512', '--out', at('f2.json'), '--json');
  const versionOf = ({ stdout }: { stdout: string }) => (JSON.parse(stdout) as { version: string }).version;
  expect(versionOf(made)).toBe(versionOf(folders));
  for (const [name, bytes, lines, model, says] of [
    ['rows-nan', broken, labels, 'm:512', 'embeddings.f32: Row 6: Component 2, counted from 0, is NaN or infinite'],
    ['rows-short', rows, labels.slice(1), 'm:512', '71 labels'],
    ['rows-narrow', rows, labels, 'm:256', '256 components for each'],
    ['rows-unnamed', rows, labels.with(3, '\t1'), 'm:512', 'Line 5 of the labels names no person'],
    ['rows-few', rows.slice(0, 4), labels.slice(0, 4), 'm:512', 'has 2 people'],
  ] as const) {
    const { code, stderr } = await run(name, bytes, lines, model);
    expect([code, stderr]).toEqual([2, expect.stringContaining(says) as string]);
  }
});

it('rejects unusable scores, and an impossible output before the work', async () => {
  mkdirSync(at('same'));
  const embedding = new Uint8Array(createPerson(0xca11b, 1).faceEmbedding(0).buffer);
  for (let i = 0; i < PEOPLE; i++) writeFileSync(at(`same/${i}.f32`), embedding);
  const model = ['--model', 'm:512'];
  const same = await calibrate('face', '--data', at('same'), ...model, '--out', at('same.json'), '--json');
  expect([same.code, same.stderr]).toEqual([2, expect.stringContaining('TOO_FEW_SCORES') as string]);
  const lost = await calibrate('face', '--data', at('faces'), ...model, '--out', at('none/face.json'), '--json');
  expect([lost.code, lost.stderr]).toEqual([2, expect.stringContaining('OUTPUT_UNWRITABLE') as string]);
});

it('rejects templates that it cannot measure; the service rejects a missing table', async () => {
  const out = at('nothing.json');
  const few = at('prints/p-1');
  const wrong = [
    {
      args: ['finger', '--data', few, '--out', out],
      says: `${few} has 2 people; measuring false match rates takes at least 30.`,
    },
    { args: ['finger', '--data', at('faces'), '--out', out], says: 'is a face embedding' },
    { args: ['finger', '--data', at('nowhere'), '--out', out], says: 'cannot be read' },
    { args: ['face', '--data', at('faces'), '--out', out], says: '--model id:dimension' },
    {
      args: ['face', '--data', at('faces'), '--model', 'm:256', '--out', out],
      says: 'is not a face of 256 components',
    },
    { args: ['face', '--data', at('prints'), '--model', 'm:512', '--out', out], says: 'is not a face of 512' },
    { args: ['toe', '--data', at('prints'), '--out', out], says: "'toe' is invalid" },
    { args: ['finger', '--data', at('prints'), '--out', at('taken.json')], says: 'already exists' },
  ];
  writeFileSync(at('taken.json'), '{}');
  await Promise.all(
    wrong.map(async ({ args, says }) => {
      const { code, stderr, stdout } = await calibrate(...args);
      expect(stderr).toContain(says);
      expect([code, stdout]).toEqual([2, '']);
    }),
  );
  await expect(
    runService(await cluster.createDatabase(), { RIDGEWATCH_CALIBRATIONS: at('nowhere.json') }),
  ).rejects.toMatchObject({ reason: 'CALIBRATION_UNREADABLE' });
});

it('requires an option when sub-folders may be databases of several people each', async () => {
  for (let i = 0; i < PEOPLE; i++) {
    for (const kind of ['databases', 'fingers']) mkdirSync(at(`${kind}/d-${i}`), { recursive: true });
    for (const j of [0, 1]) {
      const print = createPerson(0xca11c, 2 * i + j).fingerRecord(2, 0);
      writeFileSync(at(`databases/d-${i}/10${j}_1.iso`), print);
      // A single prefix means a single person.
      writeFileSync(at(`fingers/d-${i}/left_${j}.iso`), print);
    }
  }
  const run = (kind: string, ...more: string[]) =>
    calibrate('finger', '--data', at(kind), '--out', at(`${kind}-${more.length}.json`), '--json', ...more);
  const refused = await run('databases');
  expect([refused.code, existsSync(at('databases-0.json'))]).toEqual([2, false]);
  expect(JSON.parse(refused.stdout + refused.stderr)).toMatchObject({
    error: {
      reason: 'GROUPING_AMBIGUOUS',
      message: expect.stringMatching(
        /by the beginning of their names, of 2 \(100_1\.iso\).*--each-folder-a-person/,
      ) as string,
    },
  });
  for (const meant of [await run('databases', '--each-folder-a-person'), await run('fingers')])
    expect(JSON.parse(meant.stdout)).toMatchObject({ sources: [{ people: PEOPLE, templates: 2 * PEOPLE }] });
});
