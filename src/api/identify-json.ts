/**
 * Encodes answers to searches as JSON in pieces. An answer that is too large is abandoned early, and a large one does
 * not block the event loop.
 */
import { Failure } from '../failure.ts';
import { Candidate, IdentifyResponse } from '../contract/generated/ridgewatch/v1/identification.ts';
import { SampleScore } from '../contract/generated/ridgewatch/v1/sample.ts';
import { toProtoJson } from '../contract/proto-json.ts';
import { Turns } from '../turns.ts';

const writing = new Turns();
/** Maximum framing of a piece: a comma, the name and brackets of its list, and the end of the line. */
const MAX_FRAME_BYTES = 18;

/**
 * @param most - size limit, in bytes; equal to that of a gRPC message
 * @throws Failure ANSWER_TOO_LARGE; the signal's reason
 */
export async function identifyJson(response: IdentifyResponse, most: number, signal: AbortSignal): Promise<string> {
  let left = most;
  // The largest piece, an explained score, has about ten thousand bytes.
  const write = (toJson: () => unknown) =>
    writing.take(() => {
      signal.throwIfAborted();
      const text = JSON.stringify(toProtoJson(toJson()));
      left -= Buffer.byteLength(text) + MAX_FRAME_BYTES;
      if (left >= 0) return text;
      const sentence = `The answer has more than the limit of ${most} bytes: request less at a time.`;
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

/** Adds a field with a list to an encoded object. */
function withList(object: string, name: string, items: readonly string[]): string {
  if (items.length === 0) return object;
  const fields = object.slice(1, -1);
  return `{${fields}${fields === '' ? '' : ','}"${name}":[${items.join(',')}]}`;
}
