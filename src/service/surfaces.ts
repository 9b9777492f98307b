/** The gRPC and HTTP surfaces of a service, as configured. */
import { reportOfEnded, type CallObserver } from '../api/call.ts';
import { HttpGate, type HttpGateParts } from '../api/http-access.ts';
import { IDENTIFY_PATH, type identifyRoute } from '../api/http-identify.ts';
import { ApiServer, type ApiServerSettings, type ApiServices } from '../api/server.ts';
import type { Configuration } from '../configuration.ts';
import { Failure } from '../failure.ts';
import { HttpServer } from '../http/http-server.ts';
import type { LineLimit } from '../observability/line-limit.ts';
import type { Logger } from '../observability/logging.ts';
import type { Metrics } from '../observability/metrics.ts';
import { servicePages } from '../observability/pages.ts';
import type { Readiness } from '../observability/readiness.ts';
import type { ServerCertificates } from '../security/server-certificates.ts';
import type { RefusedPeer } from '../security/tls-terminator.ts';
import type { RefusalLog } from '../observability/refusal-log.ts';

interface SurfaceParts {
  readonly configuration: Configuration;
  readonly maxConnections: number;
  readonly refusals: RefusalLog;
  /** Called for some of the clients whose handshake or certificate is refused, with more about them. */
  readonly handshakeRefused: (surface: 'grpc' | 'http', peer: RefusedPeer) => void;
}

export interface HttpParts extends SurfaceParts, HttpGateParts {
  /** Undefined: without TLS. */
  readonly certificates: ServerCertificates | undefined;
  readonly readiness: Readiness;
  readonly metrics: Metrics;
  /** Limits log lines about defects. */
  readonly defects: LineLimit;
  readonly log: Logger;
  /** Why the gRPC server accepts no further clients; undefined: it accepts them, or there is no server yet. */
  readonly obstacle: () => string | undefined;
  /** Undefined until searches can be answered. */
  readonly identify: () => ReturnType<typeof identifyRoute> | undefined;
}

/** Serves pages from the beginning of the start, and searches in JSON if configured. */
export function makeHttpServer(parts: HttpParts): HttpServer {
  const { configuration, maxConnections, readiness, metrics, refusals, defects, log, obstacle, certificates } = parts;
  const gate = new HttpGate(parts);
  const contents = servicePages({ readiness: () => readiness.state, metrics: () => metrics.render(), obstacle });
  const pages = new Map([...contents].map(([path, content]) => [path, gate.page(path, content)]));
  const identify = gate.json(IDENTIFY_PATH, (request, admission, peer) => {
    const route = parts.identify();
    if (route !== undefined) return route(request, admission, peer);
    throw new Failure('unavailable', 'NOT_READY', 'The service is starting.', { retryAfterMs: 1000 });
  });
  return new HttpServer(
    { pages, json: new Map(configuration.httpIdentify ? [[IDENTIFY_PATH, identify]] : []) },
    ({ reason, status, defect }) => {
      const more = defect === undefined ? undefined : defects.admit('http');
      if (more !== undefined) log.error({ err: defect, ...more }, 'a request over HTTP failed by a defect');
      refusals.report({ surface: 'http', reason, ...(status !== undefined && { facts: { status } }) });
    },
    {
      maxBodyBytes: configuration.maxMessageBytes,
      maxBytesHeld: configuration.maxUnfinishedBytes,
      maxConnections,
      headersMs: configuration.handshakeSeconds * 1000,
      requestMs: configuration.messageSeconds * 1000,
      keepAliveMs: configuration.httpKeepAliveSeconds * 1000,
    },
    certificates && { certificates, handshakeRefused: (peer) => parts.handshakeRefused('http', peer) },
  );
}

export interface ApiParts extends SurfaceParts, Pick<ApiServerSettings, 'gatekeeper' | 'openStream' | 'turnedAway'> {
  readonly observe: CallObserver;
}

export function makeApiServer(services: ApiServices, parts: ApiParts): ApiServer {
  const { configuration, maxConnections, refusals, observe, gatekeeper, openStream, turnedAway, handshakeRefused } =
    parts;
  return new ApiServer(services, {
    gatekeeper,
    openStream,
    turnedAway,
    maxMessageBytes: configuration.maxMessageBytes,
    maxUnfinishedBytes: configuration.maxUnfinishedBytes,
    maxConnections: maxConnections,
    maxConcurrentCalls: configuration.maxConcurrentCalls,
    handshakeMs: configuration.handshakeSeconds * 1000,
    messageMs: configuration.messageSeconds * 1000,
    streamIdleMs: configuration.streamIdleSeconds * 1000,
    connectionIdleMs: configuration.connectionIdleSeconds * 1000,
    refused: (refusal) => refusals.report(refusal),
    handshakeRefused: (peer) => handshakeRefused('grpc', peer),
    ended: (call) => observe(reportOfEnded(call)),
  });
}
