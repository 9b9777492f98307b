import type { IncomingMessage, ServerResponse } from 'node:http';

export interface ForgettingLimits {
  readonly bytes: number;
  readonly milliseconds: number;
}

/** Whether a part of the request has not arrived. */
export function isUnread(request: IncomingMessage): boolean {
  const { headers, complete } = request;
  // The request event comes before the parser reaches the body; only the headers show whether there is one.
  return !complete && (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0);
}

/**
 * Reads and discards the rest of a body: a caller that is cut off while sending cannot read its answer. The answer ends
 * with the body. If the body exceeds a limit, the connection is ended.
 */
export function forgetBody(request: IncomingMessage, response: ServerResponse, limits: ForgettingLimits): void {
  let left = limits.bytes;
  const cutOff = () => {
    response.end();
    request.socket.destroySoon();
  };
  const timer = setTimeout(cutOff, limits.milliseconds);
  timer.unref();
  request.on('data', (part: Buffer) => {
    left -= part.length;
    if (left < 0) cutOff();
  });
  request.once('end', () => response.end());
  request.once('close', () => clearTimeout(timer));
  request.resume();
}
