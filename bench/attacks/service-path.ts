/**
 * The service's own checks, in their order: rates of calls, window, budgets, disclosure. What a modality adds (plausible
 * samples, scores) stands with it.
 */
import { VerifyBudgets } from '../../src/access/budgets.ts';
import { CallRates } from '../../src/access/call-rates.ts';
import { ProbeWindow, type WatchedProbe } from '../../src/access/probe-window.ts';
import { SpentBudgets } from '../../src/access/spent-budgets.ts';
import { SteadyClock } from '../../src/access/steady-clock.ts';
import {
  disclosableThreshold,
  discloseIdentify,
  discloseVerify,
  LONGEST_LIST,
  roundedUp,
  WEAKEST_CANDIDATE_LOG10,
  type Disclosure,
} from '../../src/api/disclosed-answers.ts';
import { pairLimit } from '../../src/api/disclosed-duplicates.ts';
import { IdentifyResponse, VerifyResponse } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { Band, type SampleScore } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { SHIPPED_CALIBRATIONS } from '../../src/matching/rates/calibrations.ts';
import { fpirOf, log10OfAny, thresholdFor } from '../../src/matching/rates/fusion.ts';
import type { Attempt } from './attempt.ts';

const FPIR = 0.01;
const TARGET = 'target';
/** The caller of one call. */
export interface Caller {
  readonly clientId: string;
  readonly agency: string;
  readonly budgets: object;
}

/** What an attacker learns from a comparison. */
export interface Seen {
  /** log10 of the fused rate. */
  readonly rate: number;
  /** Of each sample; none where they are not told. */
  readonly scores: readonly number[];
}

type Score = Pick<SampleScore, 'modality' | 'score' | 'log10Fmr' | 'extrapolated'>;

export class ServicePath {
  /** log10 of the rate from which on a template passes. */
  readonly threshold: number;
  readonly isDefended: boolean;
  readonly #disclosure: Disclosure;
  readonly #measured = {
    finger: SHIPPED_CALIBRATIONS.finger.measuredLog10,
    face: SHIPPED_CALIBRATIONS.face({ modelId: 'attacked', dimension: 512 }).measuredLog10,
  };
  readonly #subjects: number;
  readonly #rates: CallRates;
  readonly #budgets: VerifyBudgets;
  readonly #window: ProbeWindow;

  /** @param subjects - in the gallery: the threshold follows from it */
  constructor(attempt: Attempt, subjects: number, isDefended: boolean) {
    this.isDefended = isDefended;
    this.#subjects = subjects;
    this.threshold = thresholdFor(FPIR, subjects);
    this.#disclosure = isDefended
      ? { scores: 'none', rates: 'powers', explanations: false }
      : { scores: 'exact', rates: 'exact', explanations: true };
    const clock = () => new SteadyClock(() => attempt.nowMs);
    this.#rates = new CallRates(clock());
    const spent = new SpentBudgets(() => attempt.noteBudgetAlarm(), clock());
    this.#budgets = new VerifyBudgets(clock(), undefined, spent);
    this.#window = new ProbeWindow(
      { alarm: () => attempt.noteAlarm(), disable: ({ clientId }) => attempt.noteDisabled(clientId) },
      clock(),
    );
  }

  /** @throws Failure of the rate of calls, or of the window */
  admit(caller: Caller, probes: readonly WatchedProbe[]): void {
    if (!this.isDefended) return;
    this.#rates.take(caller);
    this.#window.admit(caller, probes);
  }

  /** A comparison with the target, admitted before. @throws Failure VERIFY_BUDGET_SPENT */
  verify(caller: Caller, scoresOf: () => readonly Score[]): Seen {
    if (this.isDefended) this.#budgets.spend(caller, TARGET);
    const scores = [...scoresOf()];
    const log10Fmr = log10OfAny(Math.min(...scores.map(({ log10Fmr: own }) => own)), scores.length);
    const response = VerifyResponse.fromPartial({ log10Fmr, scores });
    const told = discloseVerify(response, this.#disclosure, this.#measured);
    if (this.isDefended) this.#budgets.answered(caller, TARGET, told.log10Fmr);
    return { rate: told.log10Fmr, scores: told.scores.map(({ score }) => score) };
  }

  /**
   * A search, admitted before.
   * @param maxLog10Fmr - the threshold that the attacker asks for
   * @returns the rate of the target, 0 where it is no candidate
   */
  identify(score: Score, maxLog10Fmr: number): number {
    const asked = { maxLog10Fmr };
    const allowed = this.isDefended ? disclosableThreshold(asked, FPIR) : asked;
    const threshold = allowed && 'maxLog10Fmr' in allowed ? allowed.maxLog10Fmr : this.threshold;
    const found = { subjectId: TARGET, rank: 1, log10Fmr: score.log10Fmr, band: Band.REVIEW, scores: [score] };
    const response = IdentifyResponse.fromPartial({
      candidates: score.log10Fmr <= threshold ? [found] : [],
      thresholdLog10Fmr: threshold,
      fpir: fpirOf(threshold, this.#subjects),
      subjectsSearched: this.#subjects,
    });
    const told = discloseIdentify(response, {
      answer: this.#disclosure,
      standardFpir: FPIR,
      maxCandidates: LONGEST_LIST,
      weakestLog10: WEAKEST_CANDIDATE_LOG10,
      measured: this.#measured,
    });
    return told.candidates.at(0)?.log10Fmr ?? 0;
  }

  /**
   * A search for duplicates of an enrolled probe. Enrolments are not watched: nothing but the rate of calls limits them.
   * @param maxLog10Fmr - the threshold that the attacker asks for
   * @returns the rate of the pair with the target, 0 where there is none
   * @throws Failure of the rate of calls
   */
  duplicates(caller: Caller, score: Score, maxLog10Fmr: number): number {
    if (!this.isDefended) return score.log10Fmr <= maxLog10Fmr ? score.log10Fmr : 0;
    // The change of the probe, and the search.
    for (let call = 0; call < 2; call++) this.#rates.take(caller);
    const limitLog10 = pairLimit({ maxLog10Fmr }, FPIR, this.#subjects);
    if (score.log10Fmr > limitLog10) return 0;
    const shown = roundedUp(score.log10Fmr, [this.#measured.face]);
    return Math.min(limitLog10, shown);
  }
}
