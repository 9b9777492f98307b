import { Provenance, type SubjectData } from '../../src/api/generated/ridgewatch/v1/gallery.ts';

/** What is known of a subject whom a bench enrols: nothing that matters. */
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
