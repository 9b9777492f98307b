import type {
  AcknowledgeHitsRequest,
  AcknowledgeHitsResponse,
  SharingServer,
} from '../contract/generated/ridgewatch/v1/sharing.ts';
import { caseHandlers, type CaseDependencies } from './case-service.ts';
import { unary, type CallContext, type CallSettings } from './call.ts';
import { requirePosition, watchHits, type SharingDependencies } from './hit-stream.ts';

/** The `Sharing` service: hits, for the owners of the records that searches found, and cases about candidates. */
export function sharingService(service: SharingDependencies & CaseDependencies, settings: CallSettings): SharingServer {
  return {
    ...caseHandlers(service, settings),
    watchHits: (call) => watchHits(call, service, settings),
    acknowledgeHits: unary('Sharing/AcknowledgeHits', settings, (request: AcknowledgeHitsRequest, context) =>
      acknowledgeHits(service, request, context),
    ),
  };
}

async function acknowledgeHits(
  { hits }: SharingDependencies,
  { position }: AcknowledgeHitsRequest,
  context: CallContext,
): Promise<AcknowledgeHitsResponse> {
  context.authorize({ purpose: 'none', galleries: [] });
  const { agency, clientId } = context.principal.client;
  await requirePosition(hits, agency, position, 'position');
  context.note({ hit_position: position });
  return { position: await hits.acknowledge(agency, clientId, position, new Date()) };
}
