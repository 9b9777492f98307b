import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { MinutiaType } from '../../src/contract/generated/ridgewatch/v1/explanation.ts';
import { Candidate, IdentifyResponse } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { SampleScore } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { identifyJson } from '../../src/api/identify-json.ts';
import { toProtoJson } from '../../src/contract/proto-json.ts';

const minutia = { x: 10, y: 20, angle: 3, type: MinutiaType.RIDGE_ENDING };
const explained = SampleScore.fromPartial({
  referenceId: 'r',
  score: 7,
  explanation: { score: 7, pairs: Array.from({ length: 60 }, () => ({ probe: minutia, reference: minutia })) },
});
const candidatesOf = (count: number, scores: readonly SampleScore[]) =>
  Array.from({ length: count }, (_, i) =>
    Candidate.fromPartial({ subjectId: `s${i}`, rank: i + 1, scores: [...scores] }),
  );
const answerOf = (candidates: Candidate[]) => IdentifyResponse.fromPartial({ requestId: 'ä', candidates });
const never = new AbortController().signal;
const MANY = 1_000_000_000;

describe('the JSON of an answer', () => {
  it.each([
    ['nothing', IdentifyResponse.fromPartial({})],
    ['no candidates', answerOf([])],
    ['candidates without scores', answerOf(candidatesOf(2, []))],
    ['an empty candidate', answerOf([Candidate.fromPartial({ scores: [{}, {}] })])],
    ['explained scores', answerOf(candidatesOf(3, [explained, explained]))],
  ])('with %s equals the JSON of the whole message', async (_, answer) => {
    const whole = toProtoJson(IdentifyResponse.toJSON(answer));
    expect(JSON.parse(await identifyJson(answer, MANY, never))).toEqual(JSON.parse(JSON.stringify(whole)));
  });

  it('is limited in bytes, and is abandoned as soon as it would exceed the limit', async () => {
    const candidates = candidatesOf(500, [explained]);
    const { length } = Buffer.from(await identifyJson(answerOf(candidates), MANY, never));
    let read = 0;
    for (const candidate of candidates) {
      const { scores } = candidate;
      Object.defineProperty(candidate, 'scores', { enumerable: true, get: () => (read++, scores) });
    }
    const most = Math.floor(length / 50);
    await expect(identifyJson({ ...answerOf([]), candidates }, most, never)).rejects.toMatchObject({
      reason: 'ANSWER_TOO_LARGE',
      message: expect.stringContaining(String(most)) as string,
    });
    expect(read).toBeLessThan(100);
    for (const few of [1, 2, 3, 10]) {
      const answer = answerOf(candidatesOf(few, [explained]));
      const bytes = Buffer.byteLength(await identifyJson(answer, MANY, never)) + 1;
      await expect(identifyJson(answer, bytes - 1, never)).rejects.toMatchObject({ reason: 'ANSWER_TOO_LARGE' });
    }
  });

  it('yields to other callers while it is written, and is abandoned when its caller is gone', async () => {
    const gone = new AbortController();
    let turns = 0;
    const making = identifyJson(answerOf(candidatesOf(500, [explained, explained, explained])), MANY, gone.signal);
    const made = making.then(
      () => true,
      () => true,
    );
    while (!(await Promise.race([made, setImmediate(false)]))) if (++turns === 3) gone.abort(new Error('gone'));
    expect(turns).toBeGreaterThanOrEqual(3);
    await expect(making).rejects.toThrow('gone');
  });
});
