import { whole, type Setting } from '../setting.ts';

/** Limits on the time and memory that callers take by waiting. */
export const NETWORK_SETTINGS = {
  RIDGEWATCH_MAX_UNFINISHED_BYTES: {
    schema: whole(1_048_576, 68_719_476_736),
    fallback: '134217728',
    meaning:
      'Limit of bytes in memory, separately for unfinished messages, for answers that callers have not read, and for bodies and answers over HTTP.',
    why: 'Thirty-two of the largest messages: bounds callers that leave messages incomplete or send many at once.',
  },
  RIDGEWATCH_MAX_CONNECTIONS: {
    schema: whole(1, 1_000_000),
    fallback: '10000',
    meaning:
      'Limit of gRPC connections; lower if the limit of file descriptors is low. When it is reached, a connection without a call is ended for a new one.',
    why: 'More than the checkpoints of a country; a connection takes some hundred bytes.',
  },
  RIDGEWATCH_MAX_HTTP_CONNECTIONS: {
    schema: whole(8, 100_000),
    fallback: '256',
    meaning: 'Limit of HTTP connections; otherwise like `RIDGEWATCH_MAX_CONNECTIONS`.',
    why: 'Orchestrators and Prometheus need a few, and get through under any gRPC load.',
  },
  RIDGEWATCH_MAX_CONCURRENT_CALLS: {
    schema: whole(1, 100_000),
    fallback: '100',
    meaning: 'Limit of concurrent calls on one connection; clients delay further calls.',
    why: 'One connection cannot fill the shared queue.',
  },
  RIDGEWATCH_HANDSHAKE_SECONDS: {
    schema: whole(1, 3600),
    fallback: '10',
    meaning:
      'Time for the handshakes of a gRPC connection (TLS and HTTP/2), for that of HTTP (TLS), and for the headers of an HTTP request.',
    why: 'A slow network needs a second or two.',
  },
  RIDGEWATCH_MESSAGE_SECONDS: {
    schema: whole(1, 3600),
    fallback: '30',
    meaning: 'Time for the message of a call or an HTTP request to be complete, and for the caller to read an answer.',
    why: 'Enough for the largest message at 1 Mbit/s.',
  },
  RIDGEWATCH_STREAM_IDLE_SECONDS: {
    schema: whole(1, 86_400),
    fallback: '600',
    meaning: 'Time that a stream may be idle: no message arrives, and none waits for its answer.',
    why: 'Covers the pause between two travellers at a checkpoint, but not a forgotten stream.',
  },
  RIDGEWATCH_CONNECTION_IDLE_SECONDS: {
    schema: whole(1, 86_400),
    fallback: '600',
    meaning: 'Time that a gRPC connection may be without a call.',
    why: 'Clients reconnect by themselves.',
  },
  RIDGEWATCH_HTTP_KEEP_ALIVE_SECONDS: {
    schema: whole(1, 3600),
    fallback: '75',
    meaning: 'Time between two requests on an HTTP connection.',
    why: 'Longer than the one-minute interval of Prometheus.',
  },
} satisfies Record<string, Setting>;
