/** `grpc.health.v1.Health`: whether the server and each of its services is serving. */
import type {
  handleServerStreamingCall,
  handleUnaryCall,
  ServerWritableStream,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { asFailure, Failure } from '../failure.ts';
import { toServiceError } from './status.ts';
import { answerTo, requestOf, type WireRequest } from './wire-request.ts';

/** `grpc.health.v1.HealthCheckResponse.ServingStatus` */
const SERVING = 1;
const NOT_SERVING = 2;
const SERVICE_UNKNOWN = 3;

interface CheckRequest {
  readonly service: string;
}
interface CheckResponse {
  readonly status: number;
}
interface ListResponse {
  readonly statuses: Readonly<Record<string, CheckResponse>>;
}
type Watcher = ServerWritableStream<CheckRequest | WireRequest<CheckRequest, CheckResponse>, CheckResponse>;

/** Answers health checks and notifies watchers of changes. */
export class Health {
  readonly #names: readonly string[];
  readonly #refused: (failure: Failure) => void;
  /** Watching calls, each with whether the service it asks for exists. */
  readonly #watchers = new Map<Watcher, boolean>();
  #serving = false;

  /**
   * @param names - names of the services; the empty name stands for the whole server
   * @param refused - called with each refusal
   */
  constructor(names: readonly string[], refused: (failure: Failure) => void) {
    this.#names = names;
    this.#refused = refused;
  }

  /** Handlers by method name, for grpc-js. */
  get implementation(): UntypedServiceImplementation {
    return { check: this.#check, watch: this.#watch, list: this.#list };
  }

  setServing(serving: boolean): void {
    this.#serving = serving;
    for (const [watcher, isKnown] of this.#watchers) if (isKnown) watcher.write(this.#ofAll);
  }

  /** Ends the watching calls, which would otherwise keep the server from stopping. */
  end(): void {
    for (const watcher of this.#watchers.keys()) watcher.end();
    this.#watchers.clear();
  }

  get #ofAll(): CheckResponse {
    return { status: this.#serving ? SERVING : NOT_SERVING };
  }

  readonly #check: handleUnaryCall<CheckRequest, CheckResponse> = (call, callback) => {
    try {
      if (!this.#names.includes(requestOf(call.request).service)) throw serviceUnknown();
      callback(null, answerTo(call.request, this.#ofAll));
    } catch (thrown) {
      callback(toServiceError(this.#told(thrown)));
    }
  };

  readonly #watch: handleServerStreamingCall<CheckRequest, CheckResponse> = (call) => {
    try {
      // The protocol lets callers watch a service that does not exist yet.
      const isKnown = this.#names.includes(requestOf(call.request).service);
      call.write(isKnown ? this.#ofAll : { status: SERVICE_UNKNOWN });
      this.#watchers.set(call, isKnown);
      call.on('cancelled', () => this.#watchers.delete(call));
    } catch (thrown) {
      call.emit('error', toServiceError(this.#told(thrown)));
    }
  };

  readonly #list: handleUnaryCall<object, ListResponse> = (call, callback) => {
    try {
      requestOf(call.request);
      const statuses = Object.fromEntries(this.#names.map((name) => [name, this.#ofAll]));
      callback(null, answerTo(call.request, { statuses }));
    } catch (thrown) {
      callback(toServiceError(this.#told(thrown)));
    }
  };

  #told(thrown: unknown): Failure {
    const failure = asFailure(thrown);
    this.#refused(failure);
    return failure;
  }
}

function serviceUnknown(): Failure {
  const sentence = 'The server has no service of this name.';
  return new Failure('not-found', 'HEALTH_SERVICE_UNKNOWN', sentence, { field: 'service' });
}
