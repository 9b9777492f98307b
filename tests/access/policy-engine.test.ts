/** An engine that trapped makes no further decision. */
import { expect, it, vi } from 'vitest';
import { newCedar } from '../../src/access/cedar-engine.ts';
import { actionUid, callContext, clientEntity, SERVICE } from '../../src/access/cedar-entities.ts';
import { readPolicyTexts } from '../../src/access/policy-files.ts';
import { PolicySet, type DecisionFault } from '../../src/access/policy-set.ts';
import { clientWith } from './clients.ts';

vi.mock('../../src/access/cedar-engine.ts', async (original) => {
  const engine = await original<{ newCedar: typeof newCedar }>();
  return { newCedar: vi.fn(engine.newCedar) };
});

it('is denied and reported when the engine traps, and the next one is made by another engine', async () => {
  const faults: DecisionFault[] = [];
  const set = await PolicySet.compile(await readPolicyTexts(undefined), (fault) => faults.push(fault));
  const question = {
    principal: clientEntity(clientWith(['monitor'])),
    action: actionUid('read-status'),
    resource: SERVICE,
    context: callContext('none', undefined),
  };
  let nested: unknown[] = [];
  for (let i = 0; i < 5000; i++) nested = [nested];
  const deep = { ...question, context: { ...question.context, contributor: nested } } as typeof question;
  expect(set.permits(question)).toBe(true);
  expect(newCedar).toHaveBeenCalledTimes(1);
  expect(set.permits(deep)).toBe(false);
  expect(faults).toEqual([{ action: 'read-status', policies: [], cause: expect.any(Error) as unknown }]);
  expect(set.permits(question)).toBe(true);
  expect(newCedar).toHaveBeenCalledTimes(2);
  expect(set.permits(question)).toBe(true);
  expect(newCedar).toHaveBeenCalledTimes(2);
});
