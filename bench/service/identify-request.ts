import { Purpose, type IdentifyRequest } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import type { Sample } from '../../src/contract/generated/ridgewatch/v1/sample.ts';

/** A search of all galleries. @param changes - to the defaults: ten candidates, planned search */
export function identifyRequest(samples: Sample[], changes: Partial<IdentifyRequest> = {}): IdentifyRequest {
  return {
    samples,
    galleries: [],
    maxCandidates: 10,
    threshold: undefined,
    exact: false,
    purpose: Purpose.TEST,
    checkpointId: 'bench',
    clientRequestId: '',
    ...changes,
  };
}
