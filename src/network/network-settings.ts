import { whole, type Setting } from '../setting.ts';

/** Limits on the time and memory that callers take by waiting. */
export const NETWORK_SETTINGS = {
  RIDGEWATCH_MAX_UNFINISHED_BYTES: {
    schema: whole(1_048_576, 68_719_476_736),
    fallback: '134217728',
    meaning:
      'Most bytes in memory of messages until the service is done with them, of answers until they are taken, and of bodies and answers over HTTP; of each in all.',
    why: 'Thirty-two of the largest at one time: callers who begin messages and do not end them, or send many at once, take no more.',
  },
  RIDGEWATCH_MAX_CONNECTIONS: {
    schema: whole(1, 1_000_000),
    fallback: '10000',
    meaning:
      'Connections for gRPC; fewer where the limit of file descriptors is low. When all are taken, one without a call is ended for a new one.',
    why: 'More than a country has checkpoints, and some hundred bytes each.',
  },
  RIDGEWATCH_MAX_HTTP_CONNECTIONS: {
    schema: whole(8, 100_000),
    fallback: '256',
    meaning: 'The same for HTTP.',
    why: 'Orchestrators and Prometheus hold a few; they get through whatever is asked for over gRPC.',
  },
  RIDGEWATCH_MAX_CONCURRENT_CALLS: {
    schema: whole(1, 100_000),
    fallback: '100',
    meaning: 'Calls that one connection may have under way; clients wait with more.',
    why: 'One connection cannot fill the queue for all others.',
  },
  RIDGEWATCH_HANDSHAKE_SECONDS: {
    schema: whole(1, 3600),
    fallback: '10',
    meaning: 'Time for a connection to become one of HTTP/2, over TLS where it is on, and for the headers over HTTP.',
    why: 'A slow line needs a second or two.',
  },
  RIDGEWATCH_MESSAGE_SECONDS: {
    schema: whole(1, 3600),
    fallback: '30',
    meaning:
      'Time for the message of a call, and for a request over HTTP, to be complete, and for an answer to be taken.',
    why: 'The largest message over a line of 1 Mbit/s.',
  },
  RIDGEWATCH_STREAM_IDLE_SECONDS: {
    schema: whole(1, 86_400),
    fallback: '600',
    meaning: 'Time that a stream may be without a message, while none waits for its answer.',
    why: 'A checkpoint between two travellers, not one that was forgotten.',
  },
  RIDGEWATCH_CONNECTION_IDLE_SECONDS: {
    schema: whole(1, 86_400),
    fallback: '600',
    meaning: 'Time that a connection for gRPC may be without a call.',
    why: 'Clients connect again by themselves.',
  },
  RIDGEWATCH_HTTP_KEEP_ALIVE_SECONDS: {
    schema: whole(1, 3600),
    fallback: '75',
    meaning: 'Time between two requests on a connection of HTTP.',
    why: 'Longer than the minute after which Prometheus asks again.',
  },
} satisfies Record<string, Setting>;
