import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { programOf } from '../../../bench/harness/benches.ts';
import { BENCH_FLAGS } from '../../../bench/harness/run.ts';

it('refuses every malformed sample with a reason, and stores nothing', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [...BENCH_FLAGS, programOf('refusals'), '--json']);
  const result = JSON.parse(stdout) as { rows: { what: string; reason: string }[]; [count: string]: unknown };
  expect(result.rows.length).toBeGreaterThan(30);
  expect(result.rows.filter(({ reason }) => reason === '' || reason === 'ACCEPTED')).toEqual([]);
  expect(result).toMatchObject({ accepted: 0, storeVersion: 0, subjectCount: 0 });
});
