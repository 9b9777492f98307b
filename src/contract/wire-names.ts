/** Names of wire values, for logs and people. */
import { Provenance } from './generated/ridgewatch/v1/gallery.ts';
import { IndexWay, Purpose } from './generated/ridgewatch/v1/identification.ts';
import type { CandidateWay } from '../matching/search/candidate-source.ts';
import type { Provenance as DomainProvenance } from '../store/records.ts';

/** The name of a wire value in lower case, e.g. `border-check`. */
export function nameOf(enumeration: Readonly<Record<string, number>>, value: number): string {
  const entry = Object.entries(enumeration).find(([, number]) => number === value);
  return entry === undefined ? 'unknown' : entry[0].toLowerCase().replaceAll('_', '-');
}

/** e.g. `border-check`. */
export function purposeName(purpose: Purpose): string {
  return nameOf(Purpose, purpose);
}

/** e.g. `field`. */
export function provenanceName(provenance: Provenance): DomainProvenance {
  return nameOf(Provenance, provenance) as DomainProvenance;
}

/** The wire value of a provenance. */
export function provenanceToWire(name: DomainProvenance): Provenance {
  return Provenance[name.toUpperCase() as keyof typeof Provenance];
}

/** The wire value of how an index proposes subjects. */
export function toWireWay(way: CandidateWay): IndexWay {
  return way === 'codes' ? IndexWay.CODES : IndexWay.GRAPH;
}
