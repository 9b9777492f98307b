import { Provenance, type SubjectData } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';

/** Data of a subject enrolled by a bench. */
export function benchData(): SubjectData {
  return {
    contributor: 'bench',
    externalId: '',
    galleries: ['bench'],
    caveats: [],
    provenance: Provenance.SYNTHETIC,
    expireTime: undefined,
  };
}
