import type { SearchRequest } from '../matching/search/identification.ts';
import type { IdentifyRequest } from './generated/ridgewatch/v1/identification.ts';

/** The threshold that a request states; undefined: none. Requests with thresholds have the same oneof. */
export function toThreshold(threshold: IdentifyRequest['threshold']): SearchRequest['threshold'] | undefined {
  if (threshold === undefined) return undefined;
  return threshold.$case === 'maxLog10Fmr' ? { maxLog10Fmr: threshold.value } : { targetFpir: threshold.value };
}
