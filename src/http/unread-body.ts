import type { IncomingMessage, ServerResponse } from 'node:http';

export interface ForgettingLimits {
  readonly bytes: number;
  readonly milliseconds: number;
}

/** Whether something of a request is still to come. */
export function isUnread(request: IncomingMessage): boolean {
  const { headers, complete } = request;
  // The parser goes on after the event that brought the request: whether there is a body is in its headers.
  return !complete && (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0);
}

/**
 * Reads on and forgets: a caller who is cut off while it sends does not get to read its answer. The answer ends with the
 * body; where that is too long, or takes too long, the connection does.
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
