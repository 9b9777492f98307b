import { join } from 'node:path';
import type { ServerCredentials } from '@grpc/grpc-js';
import { logVerbosity, Server, setLogVerbosity, type ServerOptions } from '@grpc/grpc-js';
import { load } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation, protoPath as healthProto } from 'grpc-health-check';
import { Failure } from '../failure.ts';
import { GalleryService, type GalleryServer } from './generated/ridgewatch/v1/gallery.ts';
import { IdentificationService, type IdentificationServer } from './generated/ridgewatch/v1/identification.ts';
import { OperationsService, type OperationsServer } from './generated/ridgewatch/v1/operations.ts';

/** Name under which each service reports its health; the empty name stands for the whole server. */
const SERVICES = ['', 'ridgewatch.v1.Identification', 'ridgewatch.v1.Gallery', 'ridgewatch.v1.Operations'];

export interface ApiServerSettings {
  /** Folder that holds ridgewatch/v1/*.proto, for reflection. */
  readonly protoFolder: string;
  /** Largest request and answer, in bytes. */
  readonly maxMessageBytes: number;
}

export interface ApiServices {
  readonly identification: IdentificationServer;
  readonly gallery: GalleryServer;
  readonly operations: OperationsServer;
}

/** The gRPC server: the three services, health and reflection. */
export class ApiServer {
  readonly #server: Server;
  readonly #health = new HealthImplementation(Object.fromEntries(SERVICES.map((name) => [name, 'NOT_SERVING'])));

  private constructor(server: Server) {
    this.#server = server;
  }

  static async create(services: ApiServices, settings: ApiServerSettings): Promise<ApiServer> {
    // The library writes to standard error by itself; what fails here is thrown, and logged by whoever catches it.
    setLogVerbosity(logVerbosity.NONE);
    const options: ServerOptions = {
      'grpc.max_receive_message_length': settings.maxMessageBytes,
      'grpc.max_send_message_length': settings.maxMessageBytes,
      // A checkpoint that vanished without a word must not hold a connection for ever.
      'grpc.keepalive_time_ms': 60_000,
      'grpc.keepalive_timeout_ms': 20_000,
    };
    const api = new ApiServer(new Server(options));
    api.#server.addService(IdentificationService, services.identification);
    api.#server.addService(GalleryService, services.gallery);
    api.#server.addService(OperationsService, services.operations);
    api.#health.addToServer(api.#server);
    const files = ['identification', 'gallery', 'operations'].map((name) =>
      join(settings.protoFolder, 'ridgewatch/v1', `${name}.proto`),
    );
    const definition = await load([...files, healthProto], { includeDirs: [settings.protoFolder] });
    new ReflectionService(definition).addToServer(api.#server);
    return api;
  }

  /**
   * Starts to listen.
   * @param port - 0: any free one
   * @returns the port
   * @throws Failure PORT_IN_USE, ADDRESS_UNUSABLE
   */
  listen(host: string, port: number, credentials: ServerCredentials): Promise<number> {
    const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, credentials, (error, bound) => {
        if (error === null) resolve(bound);
        else if (error.message.includes('EADDRINUSE')) {
          const sentence = `gRPC port ${port} on ${host} is in use by another program: set RIDGEWATCH_GRPC_PORT to a free one.`;
          reject(new Failure('failed-precondition', 'PORT_IN_USE', sentence));
        } else {
          const sentence = `The service cannot listen on ${address}: check RIDGEWATCH_GRPC_HOST and RIDGEWATCH_GRPC_PORT.`;
          reject(new Failure('failed-precondition', 'ADDRESS_UNUSABLE', sentence, { cause: error }));
        }
      });
    });
  }

  /** What grpc.health.v1.Health answers. */
  setServing(serving: boolean): void {
    for (const name of SERVICES) this.#health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
  }

  /**
   * Refuses new calls, lets those under way end, and cuts off what is left when the time is up.
   * @returns whether every call came to its end
   */
  stop(drainMs: number): Promise<boolean> {
    this.setServing(false);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#server.forceShutdown();
        resolve(false);
      }, drainMs);
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }
}
