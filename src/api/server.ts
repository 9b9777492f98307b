import {
  logVerbosity,
  Server,
  ServerCredentials,
  setLogVerbosity,
  type ServerOptions,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Gatekeeper } from '../access/gatekeeper.ts';
import type { Principal } from '../access/principal.ts';
import type { Failure } from '../failure.ts';
import type { Peer } from '../network/connections.ts';
import type { Refusal } from '../observability/refusal-log.ts';
import { AccessService, type AccessServer } from '../contract/generated/ridgewatch/v1/access.ts';
import { AuditService, type AuditServer } from '../contract/generated/ridgewatch/v1/audit.ts';
import type { CertificateFacts } from '../security/peer-certificate.ts';
import type { ServerCertificates } from '../security/server-certificates.ts';
import type { RefusedPeer } from '../security/tls-terminator.ts';
import { GalleryService, type GalleryServer } from '../contract/generated/ridgewatch/v1/gallery.ts';
import {
  IdentificationService,
  type IdentificationServer,
} from '../contract/generated/ridgewatch/v1/identification.ts';
import { OperationsService, type OperationsServer } from '../contract/generated/ridgewatch/v1/operations.ts';
import { SharingService, type SharingServer } from '../contract/generated/ridgewatch/v1/sharing.ts';
import { callerGate, type TurnedAway } from './caller-gate.ts';
import { addRefusals, normaliseHead } from './call-head.ts';
import { describedService } from './described-service.ts';
import { GrpcListener } from './grpc-listener.ts';
import { Health } from './health.ts';
import { followStreams, type LibraryRefusal } from './library-refusals.ts';
import { needOfMethod } from './needs.ts';
import { Reflection, REFLECTION_SERVICES } from './reflection.ts';
import { statusName } from './status.ts';
import type { EndedCall } from './watched-call.ts';
import { CallWatch } from './watched-calls.ts';
import { overTheWire } from './wire-request.ts';

/** Names under which the services report their health; the empty name stands for the whole server. */
const SERVICES = [
  '',
  'ridgewatch.v1.Identification',
  'ridgewatch.v1.Gallery',
  'ridgewatch.v1.Operations',
  'ridgewatch.v1.Access',
  'ridgewatch.v1.Sharing',
  'ridgewatch.v1.Audit',
];

export interface ApiServerSettings {
  /** Size limit of a request and of an answer, in bytes. */
  readonly maxMessageBytes: number;
  /** Limit on the messages in use of all callers together, in bytes. */
  readonly maxUnfinishedBytes: number;
  readonly maxConnections: number;
  /** Limit on the concurrent calls of one connection. */
  readonly maxConcurrentCalls: number;
  /** Time for a new connection to become an HTTP/2 connection, in milliseconds. */
  readonly handshakeMs: number;
  /** Time for a message to arrive completely, and for the caller to read an answer, in milliseconds. */
  readonly messageMs: number;
  /** Time between the messages of a stream, in milliseconds. */
  readonly streamIdleMs: number;
  /** Time that a connection may be without calls, in milliseconds. */
  readonly connectionIdleMs: number;
  readonly gatekeeper: Pick<Gatekeeper, 'admit' | 'verified'>;
  /** Counts a stream of requests until it ends. @throws Failure STREAMS_EXHAUSTED */
  openStream(principal: Principal): () => void;
  /** Called for each call that the gatekeeper did not let in. */
  turnedAway(call: TurnedAway): void;
  /** Called for each connection or request that is refused before it becomes a call. */
  refused(refusal: Refusal): void;
  /** Called for some of the clients whose handshake or certificate is refused, with more about them. */
  handshakeRefused(peer: RefusedPeer): void;
  /** Called for each call that is ended outside its handler. */
  ended(call: EndedCall): void;
}

/** Maximum interval between checks for idle connections, in milliseconds. */
const MAX_SWEEP_MS = 250;
/** Time for a connection to close after it was asked to, in milliseconds. */
const CLOSING_MS = 5000;
const FULL = 'The gRPC port has reached its limit of connections, and all are in use: new clients are turned away.';

export interface ApiServices {
  readonly identification: IdentificationServer;
  readonly gallery: GalleryServer;
  readonly operations: OperationsServer;
  readonly access: AccessServer;
  readonly audit: AuditServer;
  readonly sharing: SharingServer;
}

/** The gRPC server: the services of the contract, health and reflection. */
export class ApiServer {
  readonly #server: Server;
  readonly #settings: ApiServerSettings;
  readonly #watch: CallWatch;
  readonly #health: Health;
  readonly #paths = new Set<string>();
  /** Methods of health and reflection, by path. */
  readonly #standard = new Map<string, { readonly requestStream: boolean }>();
  #listener: GrpcListener | undefined;
  #unfollow: () => void = () => undefined;
  #sweep: NodeJS.Timeout | undefined;

  constructor(services: ApiServices, settings: ApiServerSettings) {
    // grpc-js would log to standard error. Failures here are thrown or reported instead.
    setLogVerbosity(logVerbosity.NONE);
    this.#settings = settings;
    const refused = (failure: Failure) =>
      settings.refused({ surface: 'grpc', reason: failure.reason, facts: { code: statusName(failure) } });
    this.#watch = new CallWatch(
      {
        messageMs: settings.messageMs,
        streamIdleMs: settings.streamIdleMs,
        maxMessageBytes: settings.maxMessageBytes,
        maxBytesHeld: settings.maxUnfinishedBytes,
      },
      (peer) => this.#listener?.connectionOf(peer),
      (call) => settings.ended(call),
      refused,
    );
    const options: ServerOptions = {
      'grpc.max_receive_message_length': settings.maxMessageBytes,
      'grpc.max_send_message_length': settings.maxMessageBytes,
      'grpc.max_concurrent_streams': settings.maxConcurrentCalls,
      // grpc-js sends GOAWAY first, so that the client makes a new call on another connection.
      'grpc.max_connection_idle_ms': settings.connectionIdleMs,
      // Without keepalive, a checkpoint that disappears would hold its connection for ever.
      'grpc.keepalive_time_ms': 60_000,
      'grpc.keepalive_timeout_ms': 20_000,
      // Nothing reads the records that channelz keeps of every connection.
      'grpc.enable_channelz': 0,
      interceptors: [
        this.#watch.interceptor,
        callerGate({
          gatekeeper: settings.gatekeeper,
          certificateOf: (peer) => this.#listener?.certificateOf(peer),
          turnedAway: (call) => settings.turnedAway(call),
          openStream: (principal) => settings.openStream(principal),
        }),
      ],
    };
    this.#server = new Server(options);
    this.#health = new Health(SERVICES, refused);
    const reflection = new Reflection(refused);
    this.#add(IdentificationService, services.identification);
    this.#add(GalleryService, services.gallery);
    this.#add(OperationsService, services.operations);
    this.#add(AccessService, services.access);
    this.#add(SharingService, services.sharing);
    this.#add(AuditService, services.audit);
    this.#addStandard('grpc.health.v1.Health', this.#health.implementation);
    for (const name of REFLECTION_SERVICES) this.#addStandard(name, reflection.implementation);
    addRefusals(this.#server, refused);
  }

  /**
   * Starts listening.
   * @param port - 0: any free port
   * @param tls - undefined: without TLS
   * @returns the bound port
   * @throws Failure PORT_IN_USE, ADDRESS_UNUSABLE
   */
  async listen(host: string, port: number, tls: ServerCertificates | undefined): Promise<number> {
    const { handshakeMs, maxConnections, connectionIdleMs } = this.#settings;
    const refused = (refusal: Refusal) => this.#settings.refused(refusal);
    // The listener has already completed TLS.
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    const listener = new GrpcListener(
      tls,
      { handshakeMs, maxConnections: maxConnections },
      (socket) => injector.injectConnection(socket),
      (reason) => refused({ surface: 'grpc', reason }),
      (peer) => this.#settings.handshakeRefused(peer),
    );
    const bound = await listener.listen(host, port);
    this.#listener = listener;
    const closeGates = this.#watch.open();
    const unfollow = followStreams(
      (peer) => listener.connectionOf(peer),
      (headers) => normaliseHead(headers, this.#paths),
      (refusal) => {
        const { reason, code } = refusal;
        if (!this.#isReported(refusal)) refused({ surface: 'grpc', reason, facts: { code } });
      },
    );
    this.#unfollow = () => {
      closeGates();
      unfollow();
    };
    this.#sweep = setInterval(
      () => {
        listener.connections.endIdle(connectionIdleMs + CLOSING_MS);
      },
      Math.min(MAX_SWEEP_MS, connectionIdleMs),
    );
    this.#sweep.unref();
    return bound;
  }

  /** Number of open connections. */
  get connectionCount(): number {
    return this.#listener?.connections.count ?? 0;
  }

  /** The verified certificate of the client that a call arrived from; undefined: it has none, or has gone. */
  certificateOf(peer: Peer): CertificateFacts | undefined {
    return this.#listener?.certificateOf(peer);
  }

  /** Bytes of messages in use. */
  get bytesHeld(): number {
    return this.#watch.bytesHeld;
  }

  /** Bytes of answers that callers have not read. */
  get bytesUntaken(): number {
    return this.#watch.bytesUntaken;
  }

  /** Why the server cannot accept another client; undefined if it can. */
  get obstacle(): string | undefined {
    return this.#listener?.connections.isFull === true ? FULL : undefined;
  }

  /** Sets the status that grpc.health.v1.Health reports. */
  setServing(serving: boolean): void {
    this.#health.setServing(serving);
  }

  /**
   * Refuses new calls and waits for running ones. Cuts off the rest after `drainMs`.
   * @returns whether every call completed
   */
  stop(drainMs: number): Promise<boolean> {
    this.setServing(false);
    this.#health.end();
    this.#listener?.close();
    const ended = new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => {
        this.#server.forceShutdown();
        resolve(false);
      }, drainMs);
      // grpc-js does not wait for injected connections to close.
      this.#server.tryShutdown(() => {
        void (this.#listener?.connections.empty() ?? Promise.resolve()).then(() => {
          clearTimeout(timer);
          resolve(true);
        });
      });
    });
    return ended.finally(async () => {
      clearInterval(this.#sweep);
      this.#unfollow();
      this.#listener?.connections.endAll();
      await this.#listener?.connections.empty();
    });
  }

  /** Whether the handler of the call, or the watch over its message, reports a passed deadline. */
  #isReported({ reason, path, hasBegun }: LibraryRefusal): boolean {
    if (reason !== 'DEADLINE_EXCEEDED') return false;
    const standard = this.#standard.get(path);
    return standard === undefined || !(standard.requestStream || hasBegun);
  }

  /** Adds a standard service, whose handlers do not report. */
  #addStandard(name: string, implementation: UntypedServiceImplementation): void {
    const service = describedService(name);
    this.#add(service, implementation);
    for (const method of Object.values(service)) this.#standard.set(method.path, method);
  }

  #add(service: ServiceDefinition, implementation: UntypedServiceImplementation): void {
    const methods = Object.entries(overTheWire(service, this.#settings.maxMessageBytes)).map(([name, method]) => [
      name,
      { ...method, requestDeserialize: this.#watch.measured(method.requestDeserialize) },
    ]);
    this.#server.addService(Object.fromEntries(methods) as ServiceDefinition, implementation);
    for (const { path } of Object.values(service)) {
      if (needOfMethod(path) === undefined) throw new Error(`nothing is declared about who may call ${path}`);
      this.#paths.add(path);
    }
  }
}
