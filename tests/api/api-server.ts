/** A gRPC server with a single implemented method, and the refusals that it reports. */
import type { AccessServer } from '../../src/contract/generated/ridgewatch/v1/access.ts';
import type { AuditServer } from '../../src/contract/generated/ridgewatch/v1/audit.ts';
import type { GalleryServer } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import type { IdentificationServer } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { GetStatusResponse, type OperationsServer } from '../../src/contract/generated/ridgewatch/v1/operations.ts';
import type { SharingServer } from '../../src/contract/generated/ridgewatch/v1/sharing.ts';
import { OPEN_CALLS, OPEN_GATEKEEPER, openUnary } from './open-access.ts';
import { ApiServer, type ApiServerSettings, type ApiServices } from '../../src/api/server.ts';
import type { Refusal } from '../../src/observability/refusal-log.ts';

export interface Watched {
  readonly server: ApiServer;
  /** Reasons of requests refused before they became calls, and of calls that were ended because of their callers. */
  readonly refusals: string[];
}

/** Methods that are not given are not registered. */
export function createApiServer(
  services: Partial<ApiServices> = {},
  settings: Partial<ApiServerSettings> = {},
): Watched {
  const refusals: string[] = [];
  const getStatus = openUnary('Operations/GetStatus', OPEN_CALLS, () =>
    Promise.resolve(GetStatusResponse.create({ detail: 'served' })),
  );
  const server = new ApiServer(
    {
      identification: {} as IdentificationServer,
      gallery: {} as GalleryServer,
      access: {} as AccessServer,
      sharing: {} as SharingServer,
      audit: {} as AuditServer,
      operations: { getStatus } as unknown as OperationsServer,
      ...services,
    },
    {
      gatekeeper: OPEN_GATEKEEPER,
      openStream: () => () => undefined,
      turnedAway: ({ failure }) => void refusals.push(failure.reason),
      maxMessageBytes: 4_194_304,
      maxUnfinishedBytes: 134_217_728,
      maxConnections: 100,
      maxConcurrentCalls: 100,
      handshakeMs: 10_000,
      messageMs: 30_000,
      streamIdleMs: 60_000,
      connectionIdleMs: 60_000,
      refused: ({ reason }: Refusal) => void refusals.push(reason),
      handshakeRefused: () => undefined,
      ended: ({ failure }) => void refusals.push(failure.reason),
      ...settings,
    },
  );
  return { server, refusals };
}
