import { Provenance, type SubjectData } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { UNLIMITED } from '../../src/store/records.ts';

/** Data of a subject enrolled by a bench. */
export function benchData(): SubjectData {
  return {
    contributor: 'bench',
    externalId: '',
    galleries: ['bench'],
    caveats: [],
    provenance: Provenance.SYNTHETIC,
    ...UNLIMITED,
  };
}
