export interface HttpLimits {
  /** Bytes of the largest body. */
  readonly maxBodyBytes: number;
  /** Bytes of all bodies in memory and all answers that callers have not read yet. */
  readonly maxBytesHeld: number;
  readonly maxConnections: number;
  /** Time for the headers of a request, in milliseconds. */
  readonly headersMs: number;
  /** Time for a request with its body, and for the caller to read the answer, in milliseconds. */
  readonly requestMs: number;
  /** Time between two requests on one connection, in milliseconds. */
  readonly keepAliveMs: number;
}

export const DEFAULT_LIMITS: HttpLimits = {
  maxBodyBytes: 4_194_304,
  maxBytesHeld: 134_217_728,
  maxConnections: 256,
  headersMs: 10_000,
  requestMs: 30_000,
  keepAliveMs: 60_000,
};
