import type { SubjectAttributes, SubjectEntry } from '../../gallery/catalogue.ts';
import { isMinorAt, mayBeStrong } from '../../gallery/record-life.ts';
import type { FingerPosition } from '../../templates/finger-template.ts';
import { fpirOf, fuseLog10Rates, log10OfAny } from '../rates/fusion.ts';
import type { ExplainedComparison } from '../model/explained-comparison.ts';
import type { Probe } from './probe.ts';

/** How strong a candidate is, for an examiner. Never a decision. */
export type Band = 'no-candidate' | 'review' | 'strong-candidate';

/** How much rarer than the threshold a strong candidate is: a thousand times. */
export const STRONG_LOG10 = -3;

/**
 * log10 of how much rarer a candidate must be whose record is that of a minor: a false match does more harm to a child, and
 * the rates were measured on adults.
 */
export const MINOR_LOG10 = -1;

/** The best score of one probe against one subject. */
export interface SampleScore {
  readonly probe: Probe;
  /** The reference with this score; undefined for a reference that is not in the gallery. */
  readonly referenceId: string | undefined;
  readonly score: number;
  /** log10 of the false match rate of one comparison at this score. */
  readonly log10Fmr: number;
  readonly extrapolated: boolean;
  /** References of the subject that the probe was compared with; the best one counts. */
  readonly comparisons: number;
  /** The biometric instance, e.g. `finger:2`. Samples of the same instance are not independent evidence. */
  readonly instance: string;
  /** The explanation of a finger score, where requested and the reference still exists. */
  readonly explanation?: ExplainedComparison | undefined;
}

/** The best score of each probe against one subject; probes without a comparable reference are absent. */
export type Scores = Map<Probe, SampleScore>;

/** A reference that a probe was compared with. */
export interface ComparedReference {
  /** Undefined for a reference that is not in the gallery. */
  readonly referenceId: string | undefined;
  readonly instance: string;
}

/** A subject whose references match the probes. */
export interface Candidate {
  readonly subject: SubjectEntry;
  /** From 1. */
  readonly rank: number;
  /** log10 of the fused false match rate. */
  readonly log10Fmr: number;
  /** The FPIR at this rate: the probability that a non-mated search returns a candidate this strong. */
  readonly fpir: number;
  readonly band: Band;
  /** The subject, or that of the record searched with, was a minor at the instant of the search. */
  readonly isMinor: boolean;
  /** In the order of the probes. */
  readonly scores: readonly SampleScore[];
}

export interface CandidateList {
  readonly candidates: readonly Candidate[];
  /** The highest of the candidates. */
  readonly band: Band;
  /** More subjects reached the threshold than the list has room for. */
  readonly truncated: boolean;
}

/**
 * The instance of a comparison: the face, or the finger by whichever of the two positions is known. Where neither is
 * known, each reference counts as a finger of its own.
 * @param name - distinguishes the reference from the subject's others
 */
export function instanceNameOf(probe: Probe, referencePosition: FingerPosition, name: string): string {
  const { template } = probe;
  if (template.modality === 'face') return 'face';
  const position = template.position || referencePosition;
  return position === 0 ? `reference:${name}` : `finger:${position}`;
}

/** Converts a score to a false match rate. */
export function sampleScore(
  probe: Probe,
  reference: ComparedReference,
  score: number,
  comparisons: number,
): SampleScore {
  return { probe, ...reference, score, ...probe.calibration.rate(score), comparisons };
}

/**
 * The fused log10 rate of a subject's scores. A sample's score is the best over several references, and an instance's
 * rate the best over several samples. Each choice raises the false match rate and is corrected for. Only different
 * instances are independent and multiply: the same finger sent ten times adds no evidence.
 */
export function fuse(scores: readonly SampleScore[]): number {
  const byInstance = Map.groupBy(scores, ({ instance }) => instance);
  const rates = [...byInstance.values()].map((samples) => {
    const each = samples.map(({ log10Fmr, comparisons }) => log10OfAny(log10Fmr, comparisons));
    return log10OfAny(Math.min(...each), samples.length);
  });
  return fuseLog10Rates(rates);
}

export interface ListRules {
  readonly maxCandidates: number;
  /** Highest fused log10 rate of a candidate. */
  readonly thresholdLog10: number;
  /** The threshold of the service's own target rate: a laxer explicit threshold does not make a candidate strong. */
  readonly standardThresholdLog10: number;
  readonly subjectsSearched: number;
  /** Who is a minor is decided at this instant, in ms since 1970. */
  readonly instantMs: number;
  /** The record that the probes are from. What holds for it as a candidate holds for each pair with it. */
  readonly searchedWith?: SubjectAttributes | undefined;
}

/**
 * The threshold of a subject, from that of a search.
 * @param isMinor - at the instant of the search
 */
export function thresholdOf(isMinor: boolean, thresholdLog10: number): number {
  return isMinor ? thresholdLog10 + MINOR_LOG10 : thresholdLog10;
}

/**
 * Builds the candidate list: subjects at or above their threshold, lowest false match rate first. Equal rates are ordered
 * by the sum of the raw scores and then by subject id: the list never depends on the order of the work.
 */
export function makeCandidateList(
  scored: readonly { subject: SubjectEntry; scores: readonly SampleScore[] }[],
  rules: ListRules,
): CandidateList {
  const own = rules.searchedWith === undefined ? [] : [rules.searchedWith];
  const pairOf = ({ attributes }: SubjectEntry) => [attributes, ...own];
  const reached = scored
    .map(({ subject, scores }) => ({
      subject,
      scores,
      isMinor: pairOf(subject).some((one) => isMinorAt(one, rules.instantMs)),
      log10Fmr: fuse(scores),
      sum: scores.reduce((sum, { score }) => sum + score, 0),
    }))
    .filter(
      ({ log10Fmr, scores, isMinor }) => scores.length > 0 && log10Fmr <= thresholdOf(isMinor, rules.thresholdLog10),
    )
    .sort((a, b) => a.log10Fmr - b.log10Fmr || b.sum - a.sum || (a.subject.subjectId < b.subject.subjectId ? -1 : 1));
  const strong = Math.min(rules.thresholdLog10, rules.standardThresholdLog10) + STRONG_LOG10;
  const isStrong = ({ subject, log10Fmr, isMinor }: (typeof reached)[number]) =>
    log10Fmr <= thresholdOf(isMinor, strong) && pairOf(subject).every(mayBeStrong);
  const candidates = reached.slice(0, rules.maxCandidates).map((one, i): Candidate => ({
    subject: one.subject,
    rank: i + 1,
    log10Fmr: one.log10Fmr,
    fpir: fpirOf(one.log10Fmr, rules.subjectsSearched),
    band: isStrong(one) ? 'strong-candidate' : 'review',
    isMinor: one.isMinor,
    scores: one.scores,
  }));
  return { candidates, band: bandOf(candidates), truncated: reached.length > candidates.length };
}

/** The list without the candidates that may not be returned any more, ranked anew. */
export function withoutGone<List extends CandidateList>(
  list: List,
  isPresent: (subject: SubjectEntry) => boolean,
): List {
  const present = list.candidates.filter(({ subject }) => isPresent(subject));
  if (present.length === list.candidates.length) return list;
  const candidates = present.map((candidate, i) => ({ ...candidate, rank: i + 1 }));
  return { ...list, candidates, band: bandOf(candidates) };
}

/** The first candidate need not have the highest band: some records are never strong ones. */
function bandOf(candidates: readonly Candidate[]): Band {
  if (candidates.some(({ band }) => band === 'strong-candidate')) return 'strong-candidate';
  return candidates.length > 0 ? 'review' : 'no-candidate';
}
