import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { Calibration } from '../../src/matching/rates/calibration.ts';
import {
  calibrationFile,
  readCalibrations,
  type CalibrationSubject,
} from '../../src/matching/rates/calibration-file.ts';
import { makeTable, type ScoreHistogram } from '../../src/matching/rates/calibration-table.ts';

const folder = mkdtempSync(join(tmpdir(), 'ridgewatch-test-calibration-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;

function written(content: string): string {
  const file = join(folder, `${files++}.json`);
  writeFileSync(file, content);
  return file;
}

const histogram: ScoreHistogram = {
  name: 'made up',
  counts: new Map(Array.from({ length: 200 }, (_, i) => [10 * i, Math.ceil(1e6 * Math.exp(-i / 12))])),
  total: Array.from({ length: 200 }, (_, i) => Math.ceil(1e6 * Math.exp(-i / 12))).reduce((a, b) => a + b, 0),
};
const table = makeTable([histogram], 10);
const FINGER: CalibrationSubject = { modality: 'finger' };
const FACE: CalibrationSubject = { modality: 'face', model: 'arcface', dimension: 256 };
const MODELS = [{ modelId: 'arcface', dimension: 256 }];

/** The file with some fields changed. */
function changed(subject: CalibrationSubject, change: (file: Record<string, unknown>) => void): string {
  const file = JSON.parse(calibrationFile(subject, table)) as Record<string, unknown>;
  change(file);
  return written(JSON.stringify(file));
}

describe('calibration files', () => {
  it('return the tables written to them', () => {
    const tables = readCalibrations(
      [written(calibrationFile(FINGER, table)), written(calibrationFile(FACE, table))],
      MODELS,
    );
    expect(tables.finger).toMatchObject(table);
    expect(tables.faces.get('arcface')).toMatchObject({ dimension: 256, table });
    expect(readCalibrations([], MODELS)).toEqual({ finger: undefined, faces: new Map() });
  });

  it.each([
    ['does not exist', () => join(folder, 'nowhere.json'), 'CALIBRATION_UNREADABLE'],
    ['is not JSON', () => written('{'), 'CALIBRATION_UNREADABLE'],
    ['is something else', () => written('{"a":1}'), 'CALIBRATION_INVALID'],
    [
      'has another format',
      () => changed(FINGER, (file) => (file.format = 'ridgewatch-calibration-2')),
      'CALIBRATION_INVALID',
    ],
    ['has no kernel', () => changed(FINGER, (file) => delete file.kernel), 'CALIBRATION_INVALID'],
    ['was changed', () => changed(FINGER, (file) => (file.milliLog10PerStep = -0.5)), 'CALIBRATION_INVALID'],
    [
      'has descending scores',
      () => changed(FINGER, (file) => (file.scores = [...table.scores].reverse())),
      'CALIBRATION_INVALID',
    ],
    ['lacks a rate', () => changed(FINGER, (file) => (file.scores = table.scores.slice(1))), 'CALIBRATION_INVALID'],
    [
      'is of other kernels',
      () => changed(FINGER, (file) => (file.kernel = '0123456789abcdef')),
      'CALIBRATION_OUTDATED',
    ],
    ['is of an unknown model', () => changed(FACE, (file) => (file.model = 'facenet')), 'CALIBRATION_OF_NO_MODEL'],
    ['is of another dimension', () => changed(FACE, (file) => (file.dimension = 512)), 'CALIBRATION_OF_NO_MODEL'],
  ])('are rejected when one %s', (_, file, reason) => {
    expect(() => readCalibrations([file()], MODELS)).toThrow(expect.objectContaining({ reason }));
  });

  it.each(['__proto__', 'constructor', 'to-string'])('accept any model name: %s', (model) => {
    const file = written(calibrationFile({ ...FACE, model }, table));
    const { faces } = readCalibrations([file], [{ modelId: model, dimension: 256 }]);
    expect(faces.get(model)).toMatchObject({ table });
  });

  it('are rejected when two are for one model', () => {
    const twice = [1, 2].map(() => written(calibrationFile(FINGER, table)));
    expect(() => readCalibrations(twice, MODELS)).toThrow(expect.objectContaining({ reason: 'CALIBRATION_REPEATED' }));
  });
});

describe('a table', () => {
  it('never states a lower rate than any source measured', () => {
    const counts = fc.array(fc.tuple(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 1, max: 5000 })), {
      minLength: 30,
      maxLength: 60,
    });
    const sources = fc.array(counts, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(sources, (lists) => {
        const histograms = lists.map((list, i): ScoreHistogram => {
          const seen = new Map<number, number>();
          for (const [score, count] of list) seen.set(score, (seen.get(score) ?? 0) + count);
          return { name: String(i), counts: seen, total: [...seen.values()].reduce((a, b) => a + b, 0) };
        });
        const made = makeTable(histograms, 10);
        const calibration = new Calibration(made);
        for (const { counts: seen, total } of histograms) {
          for (const score of made.scores.slice(1)) {
            if (score > made.measuredTo) break;
            let above = 0;
            for (const [other, count] of seen) if (other >= score) above += count;
            if (above < 10) continue;
            const { log10Fmr } = calibration.rate(score);
            expect(log10Fmr).toBeGreaterThanOrEqual(Math.log10(above / total) - 0.001);
          }
        }
      }),
      { numRuns: 50 },
    );
  });
});
