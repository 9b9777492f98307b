import type { Band as DomainBand } from '../matching/search/candidate-list.ts';
import { Band } from './generated/ridgewatch/v1/sample.ts';

export const BANDS: Record<DomainBand, Band> = {
  'no-candidate': Band.NO_CANDIDATE,
  review: Band.REVIEW,
  'strong-candidate': Band.STRONG_CANDIDATE,
};
