/** Answers to searches as JSON, made piece by piece: one that is too large is given up before it is whole, and a large one does not block the event loop. */
import { Failure } from '../failure.ts';
import { Candidate, IdentifyResponse } from './generated/ridgewatch/v1/identification.ts';
import { SampleScore } from './generated/ridgewatch/v1/sample.ts';
import { toProtoJson } from './proto-json.ts';
import { Turns } from './turns.ts';

const writing = new Turns();
/** Most that stands around a piece: a comma, the name and the brackets of its list, the end of the line. */
const MAX_FRAME_BYTES = 18;

/**
 * @param most - bytes; the same as a message may have
 * @throws Failure ANSWER_TOO_LARGE; what the signal is aborted with
 */
export async function identifyJson(response: IdentifyResponse, most: number, signal: AbortSignal): Promise<string> {
  let left = most;
  // An explained score, the largest piece, has some ten thousand bytes.
  const write = (toJson: () => unknown) =>
    writing.take(() => {
      signal.throwIfAborted();
      const text = JSON.stringify(toProtoJson(toJson()));
      left -= Buffer.byteLength(text) + MAX_FRAME_BYTES;
      if (left >= 0) return text;
      const sentence = `The answer has more than ${most} bytes, and may have no more: ask for less at once.`;
      throw new Failure('resource-exhausted', 'ANSWER_TOO_LARGE', sentence);
    });
  const whole = await write(() => IdentifyResponse.toJSON({ ...response, candidates: [] }));
  const candidates: string[] = [];
  for (const candidate of response.candidates) {
    const head = await write(() => Candidate.toJSON({ ...candidate, scores: [] }));
    const scores: string[] = [];
    for (const score of candidate.scores) scores.push(await write(() => SampleScore.toJSON(score)));
    candidates.push(withList(head, 'scores', scores));
  }
  return withList(whole, 'candidates', candidates);
}

/** An object with one field more. */
function withList(object: string, name: string, items: readonly string[]): string {
  if (items.length === 0) return object;
  const fields = object.slice(1, -1);
  return `{${fields}${fields === '' ? '' : ','}"${name}":[${items.join(',')}]}`;
}
