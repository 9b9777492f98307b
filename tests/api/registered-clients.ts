/** Clients of a running service, registered as an administrator does it. */
import { credentials } from '@grpc/grpc-js';
import {
  AccessClient,
  ClientKind,
  Role,
  type AddClientRequest,
  type AddClientResponse,
} from '../../src/contract/generated/ridgewatch/v1/access.ts';
import { GalleryClient } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { IdentificationClient, Purpose } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { SharingClient } from '../../src/contract/generated/ridgewatch/v1/sharing.ts';
import { bearer } from '../../src/security/bearer.ts';
import { DIRECT_CHANNEL } from '../../src/security/client-channel.ts';
import { call, type RunningService } from './running-service.ts';

type Options = Readonly<Record<string, unknown>>;
type ClientClass<T> = new (address: string, security: ReturnType<typeof credentials.createInsecure>, o: Options) => T;

export interface RegisteredClients {
  /** A client of gRPC that shows a token. @param token - undefined: none */
  clientOf<T extends { close(): void }>(Client: ClientClass<T>, token: string | undefined, to?: RunningService): T;
  /** Registers a client with a token; by default a checkpoint for all galleries and every purpose. */
  add(changes?: Partial<AddClientRequest['client']>, expireTime?: Date): Promise<AddClientResponse>;
  /** A new client and its calls. */
  as(changes: Partial<AddClientRequest['client']>): Promise<ActingClient>;
  close(): void;
}

export interface ActingClient {
  readonly clientId: string;
  readonly token: string;
  readonly identification: IdentificationClient;
  readonly gallery: GalleryClient;
  readonly sharing: SharingClient;
}

let made = 0;

export function registeredClients(running: () => RunningService): RegisteredClients {
  const closing: { close(): void }[] = [];
  const clientOf: RegisteredClients['clientOf'] = (Client, token, to = running()) => {
    const interceptors = token === undefined ? [] : [bearer(token)];
    const address = `127.0.0.1:${to.service.grpcPort}`;
    const client = new Client(address, credentials.createInsecure(), { ...DIRECT_CHANNEL, interceptors });
    closing.push(client);
    return client;
  };
  const add: RegisteredClients['add'] = (changes = {}, expireTime) => {
    const access = clientOf(AccessClient, running().headers.authorization.replace('Bearer ', ''));
    return call(access, access.addClient.bind(access), {
      client: {
        clientId: `client-${made++}`,
        kind: ClientKind.MACHINE,
        agency: 'agency',
        roles: [Role.CHECKPOINT],
        allGalleries: changes.galleries === undefined,
        galleries: [],
        purposes: [Purpose.BORDER_CHECK, Purpose.INVESTIGATION, Purpose.APPLICATION, Purpose.TEST],
        clearance: 0,
        callsPerSecond: 0,
        streams: 0,
        verificationsPerDay: 0,
        ...changes,
      },
      credential: { how: { $case: 'token', value: true }, expireTime },
    });
  };
  return {
    clientOf,
    add,
    as: async (changes) => {
      const { client, token } = await add(changes);
      return {
        clientId: client?.client?.clientId ?? '',
        token,
        identification: clientOf(IdentificationClient, token),
        gallery: clientOf(GalleryClient, token),
        sharing: clientOf(SharingClient, token),
      };
    },
    close: () => {
      for (const client of closing) client.close();
    },
  };
}
