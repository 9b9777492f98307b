import { expect, it } from 'vitest';
import { answerRounds } from '../../../bench/audit/answer-rounds.ts';

it('a service that is killed has recorded every answer that its callers received', async () => {
  const result = await answerRounds(4, () => undefined);
  expect(result).toMatchObject({ unrecorded: 0, verified: 0 });
  expect(result.answered).toBeGreaterThan(50);
  // Otherwise no record was in the local file.
  expect(result.withoutDatabase).toBeGreaterThan(0);
});
