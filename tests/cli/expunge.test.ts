/** Removals by two administrators on the command line. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { enrolPerson, runService, type RunningService } from '../api/running-service.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { ridgewatch } from './command.ts';

let cluster: TestCluster;
let running: RunningService;
const folder = temporaryDirectory();

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase());
});
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});

const as = (client: string, ...args: string[]) =>
  ridgewatch([
    ...['expunge', ...args, '--address', `127.0.0.1:${running.service.grpcPort}`],
    ...['--token-file', join(folder, `${client}.token`), '--json'],
  ]);

it('ridgewatch expunge proposes, lists and approves', async () => {
  for (const name of ['ada', 'bo'])
    await ridgewatch([
      ...['client', 'add', name, '--person', '--agency', 'authority', '--role', 'administrator'],
      ...['--token-out', join(folder, `${name}.token`), '--address', `127.0.0.1:${running.service.grpcPort}`],
    ]);
  const { subject } = await enrolPerson(running, 1);
  const id = subject?.subjectId ?? '';
  const proposed = await as('ada', id, '--reason', 'court order', '--propose');
  expect(proposed).toMatchObject({ code: 0, stderr: '' });
  const proposal = JSON.parse(proposed.stdout) as { proposal_id: string };
  expect(proposal).toMatchObject({ subject_id: id, contributor: 'agency', proposed_by: 'ada', reason: 'court order' });
  const listed = await as('bo', '--proposals');
  expect(JSON.parse(listed.stdout)).toEqual({ proposals: [proposal], damaged_proposal_ids: [] });

  const { proposal_id } = proposal;
  // Without a terminal, --yes is what agrees.
  expect(await as('bo', '--approve', proposal_id)).toMatchObject({ code: 2, stdout: '' });
  expect((await as('ada', '--approve', proposal_id, '--yes')).stderr).toContain('APPROVER_NOT_INDEPENDENT');
  const receipt = join(folder, 'receipt.json');
  const approved = await as('bo', '--approve', proposal_id, '--yes', '--receipt', receipt);
  expect(approved).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(readFileSync(receipt, 'utf8'))).toMatchObject({
    content: { requested_by: 'ada', approved_by: 'bo' },
  });
  expect((await as('bo', '--approve', proposal_id, '--yes')).stderr).toContain('PROPOSAL_NOT_FOUND');
  for (const wrong of [[], [id], [id, '--approve', proposal_id], [id, '--propose', '--reason', 'x', '--proposals']])
    expect((await as('bo', ...wrong)).stderr, wrong.join(' ')).toContain('USAGE');
});
