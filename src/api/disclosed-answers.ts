/**
 * What of an answer a caller may have. Exact scores, or rates in fine steps, of probes that the caller chooses give a
 * stored template away. Pure functions over wire messages; docs/disclosure.md says what each field still tells.
 */
import type { Duration } from '../contract/generated/google/protobuf/duration.ts';
import {
  type Candidate,
  type IdentifyResponse,
  type VerifyResponse,
} from '../contract/generated/ridgewatch/v1/identification.ts';
import { Band, Modality, type SampleReport, type SampleScore } from '../contract/generated/ridgewatch/v1/sample.ts';
import { toDuration } from '../contract/wire-duration.ts';
import { fpirOf, fuseLog10Rates, thresholdFor } from '../matching/rates/fusion.ts';
import { thresholdOf } from '../matching/search/candidate-list.ts';
import type { SearchRequest } from '../matching/search/identification.ts';

/** What a caller may see of a comparison. */
export interface Disclosure {
  /** Raw scores of the samples. Given only together with exact rates: each score states its rate. */
  readonly scores: 'exact' | 'none';
  /** `powers`: false match rates rounded up to whole powers of ten, and FPIRs likewise. */
  readonly rates: 'exact' | 'powers';
  readonly explanations: boolean;
}

/** log10 of the lowest rate that was measured, by modality: rates below are extrapolated. */
export interface MeasuredRates {
  readonly finger: number;
  readonly face: number;
}

/**
 * Leaves out candidates beyond the service's own threshold, whatever threshold was asked for: with exact rates of
 * arbitrary probes, searches would tell as much of a template as comparisons do, and no budget counts them.
 */
export function withinStandard(response: IdentifyResponse, standardFpir: number): IdentifyResponse {
  const standard = thresholdFor(standardFpir, response.subjectsSearched);
  if (response.thresholdLog10Fmr <= standard) return response;
  const candidates = response.candidates.filter(({ log10Fmr, minor }) => log10Fmr <= thresholdOf(minor, standard));
  return {
    ...response,
    candidates,
    band: bestBand(candidates),
    thresholdLog10Fmr: standard,
    fpir: fpirOf(standard, response.subjectsSearched),
    truncated: response.truncated && candidates.length === response.candidates.length,
  };
}

/** How an answer to a search is cut. */
export interface IdentifyDisclosure {
  /** Of the answer as a whole. */
  readonly answer: Disclosure;
  /** Of one candidate; `answer` where a subject has no rule of its own. */
  of?(subjectId: string): Disclosure;
  /** The service's own FPIR, 0 to 1: a caller with rates in powers sees no candidate beyond its threshold. */
  readonly standardFpir: number;
  /** Length of the list that the caller asked for, from 1. */
  readonly maxCandidates: number;
  /** log10 of the weakest rate of a candidate shown with rates in powers. */
  readonly weakestLog10: number;
  readonly measured: MeasuredRates;
}

/**
 * log10 of the weakest rate that a caller with rates in powers is told; weaker ones read as 0. A mate is hardly ever
 * weaker, and a probe without a mate is nearly always: telling the weak rates apart tells an attacker the way
 * from any face to the right one.
 */
export const WEAKEST_LOG10 = -3;
/**
 * log10 of the weakest rate of a candidate that is shown with rates in powers. The threshold of an FPIR of 0.01 is
 * stricter from 1,000 subjects on; in a smaller scope it would be so lax that the faces of a few thousand strangers,
 * sorted by whether they find the subject, average to the subject's face.
 */
export const WEAKEST_CANDIDATE_LOG10 = -5;
/** Step of the elapsed time, in milliseconds: below it, time could tell which comparisons ended early. */
const ELAPSED_STEP_MS = 10;
/** Longest list of a search: one asked for with rates in powers is cut after the rounding. */
export const LONGEST_LIST = 500;

/**
 * The threshold that a search for a caller with rates in powers may use. A free threshold would be a rate in any
 * resolution: the caller moves it until the candidate vanishes.
 * @param asked - undefined: the service's own
 * @param standardFpir - the service's own FPIR
 * @returns never laxer than asked: whole powers of ten, and an FPIR of at most the service's own
 */
export function disclosableThreshold(
  asked: SearchRequest['threshold'] | undefined,
  standardFpir: number,
): SearchRequest['threshold'] | undefined {
  if (asked === undefined) return undefined;
  if ('maxLog10Fmr' in asked) return { maxLog10Fmr: Math.floor(asked.maxLog10Fmr) };
  if (asked.targetFpir >= standardFpir) return undefined;
  // A tiny part of a step absorbs the rounding of log10 at exact powers.
  return { targetFpir: 10 ** Math.floor(Math.log10(asked.targetFpir) + 1e-9) };
}

/**
 * Cuts the answer to a search. With rates in powers, candidates beyond the service's own threshold are left out, the
 * rest are ordered by rounded rate and then by subject id, ranked anew, and cut to the length asked for: neither order
 * nor presence depends on more than the rounded rate. The search itself must have been made with `LONGEST_LIST` and
 * `disclosableThreshold`. Bands stay.
 */
export function discloseIdentify(response: IdentifyResponse, rules: IdentifyDisclosure): IdentifyResponse {
  const { answer } = rules;
  const isCoarse = answer.rates === 'powers';
  const standard = thresholdFor(rules.standardFpir, response.subjectsSearched);
  const weakest = Math.min(rules.weakestLog10, standard, response.thresholdLog10Fmr);
  const seen = response.candidates.flatMap((candidate): Candidate[] => {
    const disclosure = rules.of?.(candidate.subjectId) ?? answer;
    if (disclosure.rates === 'exact') return [{ ...candidate, scores: disclosedScores(candidate.scores, disclosure) }];
    const own = thresholdOf(candidate.minor, weakest);
    if (candidate.log10Fmr > own) return [];
    const rounded = roundedRate(candidate.log10Fmr, candidate.scores, rules.measured);
    // The candidate is there, so its rate is known to reach the threshold even where data end before.
    const log10Fmr = Math.min(Math.ceil(own), rounded);
    const fpir = powerAbove(fpirOf(log10Fmr, response.subjectsSearched));
    return [{ ...candidate, log10Fmr, fpir, scores: [] }];
  });
  const isExact = ({ subjectId }: Candidate) => (rules.of?.(subjectId) ?? answer).rates === 'exact';
  // Equal exact rates are ordered by scores, which must not be told of any other candidate.
  if (!response.candidates.every(isExact))
    seen.sort((a, b) => a.log10Fmr - b.log10Fmr || (a.subjectId < b.subjectId ? -1 : 1));
  const candidates = seen.slice(0, rules.maxCandidates).map((candidate, i) => ({ ...candidate, rank: i + 1 }));
  const cut = {
    ...response,
    candidates,
    band: bestBand(candidates),
    truncated: response.truncated || seen.length > candidates.length,
  };
  if (!isCoarse) return cut;
  return {
    ...cut,
    thresholdLog10Fmr: Math.ceil(weakest),
    fpir: powerAbove(fpirOf(Math.ceil(weakest), response.subjectsSearched)),
    searchedFraction: Math.floor(response.searchedFraction * 10) / 10,
    samples: response.samples.map(coarseReport),
    elapsed: coarseElapsed(response.elapsed),
    index: response.index && {
      ...response.index,
      penetration: powerAbove(response.index.penetration),
      // Its counts move when the caller's own search is among those repeated.
      audit: undefined,
    },
  };
}

/**
 * Cuts the answer to a comparison. With rates in powers: one rounded rate for all samples, 0 where it is weaker than
 * `WEAKEST_LOG10`, and no score of a sample.
 */
export function discloseVerify(
  response: VerifyResponse,
  disclosure: Disclosure,
  measured: MeasuredRates,
): VerifyResponse {
  if (disclosure.rates === 'exact') return { ...response, scores: disclosedScores(response.scores, disclosure) };
  return {
    ...response,
    log10Fmr: response.log10Fmr > WEAKEST_LOG10 ? 0 : roundedRate(response.log10Fmr, response.scores, measured),
    scores: [],
    samples: response.samples.map(coarseReport),
    elapsed: coarseElapsed(response.elapsed),
  };
}

/**
 * A rate as a whole power of ten that is never stronger than the rate, nor than data support: at best the fused rate of
 * scores at the end of what was measured.
 * @param scores - the best score of each sample, before they are removed
 */
function roundedRate(log10Fmr: number, scores: readonly SampleScore[], measured: MeasuredRates): number {
  const instances = new Map(
    scores.map(({ modality, fingerPosition, referenceId }) => {
      const isFace = modality === Modality.FACE;
      // As in fusion: a finger of unknown position counts by its reference.
      const name = isFace ? 'face' : fingerPosition === 0 ? referenceId : `${fingerPosition}`;
      return [name, isFace ? measured.face : measured.finger];
    }),
  );
  return roundedUp(log10Fmr, [...instances.values()]);
}

/**
 * A rate as a whole power of ten that is never stronger than the rate, nor than data support.
 * @param ends - log10 of the lowest measured rate, for each instance compared
 */
export function roundedUp(log10Fmr: number, ends: readonly number[]): number {
  // Without a trailing −0 for rates of 1.
  return Math.ceil(Math.max(log10Fmr, fuseLog10Rates(ends))) || 0;
}

function disclosedScores(scores: readonly SampleScore[], { scores: kind, explanations }: Disclosure): SampleScore[] {
  if (kind === 'none') return [];
  return explanations ? [...scores] : scores.map((score) => ({ ...score, explanation: undefined }));
}

/** The best candidate first by rounded rate need not have the best band. */
function bestBand(candidates: readonly Candidate[]): Band {
  return candidates.reduce<Band>((best, { band }) => (band > best ? band : best), Band.NO_CANDIDATE);
}

/** A share rounded up to a power of ten, 0 to 1; 0 stays. */
export function powerAbove(share: number): number {
  return share <= 0 ? 0 : Math.min(1, 10 ** Math.ceil(Math.log10(share) - 1e-9));
}

/** Of an indexed search, the number of references compared depends on what resembles the probe. */
function coarseReport(report: SampleReport): SampleReport {
  const count = report.referencesCompared;
  return { ...report, referencesCompared: count <= 1 ? count : 10 ** Math.ceil(Math.log10(count) - 1e-9) };
}

function coarseElapsed(elapsed: Duration | undefined): Duration | undefined {
  if (elapsed === undefined) return undefined;
  const ms = elapsed.seconds * 1000 + elapsed.nanos / 1e6;
  return toDuration(Math.ceil(ms / ELAPSED_STEP_MS) * ELAPSED_STEP_MS);
}
