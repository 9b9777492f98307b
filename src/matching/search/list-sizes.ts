import type { ListKind, ListShares } from '../workers/list-lengths.ts';
import { exactShortlist } from './exact-scan.ts';
import { instanceNameOf } from './candidate-list.ts';
import type { Probe } from './probe.ts';

/** How many subjects are compared. */
export interface ShortlistSize {
  /** Minimum: with fewer, the first stage would decide the end of the list. */
  readonly min: number;
  readonly perCandidate: number;
  /** Share of all subjects. */
  readonly share: number;
  /** For each compared subject, how many are chosen by codes and ranked again by their whole vectors. */
  readonly ranked: number;
}

/** Applies to searches with fingers, until lengths have been measured. */
export const SHORTLIST: ShortlistSize = { min: 2000, perCandidate: 4, share: 0.005, ranked: 1.5 };

/** Subjects that a face search ranks by whole embeddings: a share of all until it has been measured, and a minimum. */
const FACES_RANKED = 0.002;
const MIN_FACES_RANKED = 1000;

/** Numbers of subjects, or, where all probes are of one instance, of references. */
export interface ListSizes {
  /** Ranked by whole vectors. */
  readonly ranked: number;
  /** Compared. */
  readonly wanted: number;
}

/**
 * @param shares - measured; undefined: the fixed ones
 * @param population - subjects in memory that the search might find
 * @param maxCandidates - length of the list; the end of the list must be right too, whatever was measured
 */
export function listSizes(
  kind: ListKind,
  shares: ListShares | undefined,
  population: number,
  maxCandidates: number,
  size: ShortlistSize = SHORTLIST,
): ListSizes {
  if (kind === 'face') {
    // A comparison of faces reads the same embeddings: a rank by whole embeddings is final.
    const wanted = exactShortlist(maxCandidates);
    const ranked = Math.ceil((shares?.ranked ?? FACES_RANKED) * population);
    return { ranked: Math.max(MIN_FACES_RANKED, wanted, ranked), wanted };
  }
  const { min, perCandidate, share, ranked } = size;
  const least = Math.max(min, perCandidate * maxCandidates);
  const wanted = Math.ceil(Math.max(least, (shares?.compared ?? share) * population));
  if (shares === undefined) return { ranked: Math.ceil(ranked * wanted), wanted };
  return { ranked: Math.ceil(Math.max(wanted, ranked * least, shares.ranked * population)), wanted };
}

/** The fixed shares of a kind. */
export function fixedShares(kind: ListKind): ListShares {
  const { share, ranked } = SHORTLIST;
  return kind === 'face'
    ? { ranked: FACES_RANKED, compared: FACES_RANKED }
    : { ranked: ranked * share, compared: share };
}

/** Whether no probe is of a finger that can be compared. */
export function isOfFaces(probes: readonly Probe[]): boolean {
  return probes.every(({ packed }) => packed?.modality !== 'finger');
}

/** Whether a probe is of a finger of unknown position: it is compared with all fingers. */
export function areOfUnknownFinger(probes: readonly Probe[]): boolean {
  return probes.some(({ template, packed }) => packed?.modality === 'finger' && positionOf(template) === 0);
}

function positionOf(template: Probe['template']): number | undefined {
  return template.modality === 'finger' ? template.position : undefined;
}

export function listKindOf(probes: readonly Probe[]): ListKind {
  if (isOfFaces(probes)) return 'face';
  const comparable = [...probes.entries()].filter(([, { packed }]) => packed !== undefined);
  if (comparable.some(([, { packed }]) => packed?.modality === 'face')) return 'finger+face';
  return new Set(comparable.map(([number, probe]) => instanceNameOf(probe, 0, String(number)))).size > 1
    ? 'fingers'
    : 'finger';
}
