import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  disclosableThreshold,
  discloseIdentify,
  discloseVerify,
  WEAKEST_CANDIDATE_LOG10,
  WEAKEST_LOG10,
  type Disclosure,
} from '../../src/api/disclosed-answers.ts';
import {
  IdentifyResponse,
  VerifyResponse,
  type Candidate,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import type { FingerPosition } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { Band, Modality, SampleOutcome, SampleScore } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { SHIPPED_CALIBRATIONS } from '../../src/matching/rates/calibrations.ts';
import { fpirOf, thresholdFor } from '../../src/matching/rates/fusion.ts';

const COARSE: Disclosure = { scores: 'none', rates: 'powers', explanations: false };
const EXACT: Disclosure = { scores: 'exact', rates: 'exact', explanations: true };
const measured = { finger: -3.4, face: -6.293 };
const SUBJECTS = 50_000;
const FPIR = 0.01;

const face = (log10Fmr: number) =>
  SampleScore.fromPartial({ modality: Modality.FACE, score: 123_456, log10Fmr, referenceId: 'r' });
const finger = (fingerPosition: FingerPosition, log10Fmr: number) =>
  SampleScore.fromPartial({ modality: Modality.FINGER, fingerPosition, score: 1200, log10Fmr, explanation: {} });

function answer(candidates: readonly { id: string; rate: number; scores?: SampleScore[] }[], subjects = SUBJECTS) {
  const thresholdLog10Fmr = thresholdFor(FPIR, subjects);
  return IdentifyResponse.fromPartial({
    requestId: 'a',
    candidates: candidates.map(({ id, rate, scores }, i) => ({
      subjectId: id,
      rank: i + 1,
      log10Fmr: rate,
      fpir: fpirOf(rate, subjects),
      band: rate <= thresholdLog10Fmr - 3 ? Band.STRONG_CANDIDATE : Band.REVIEW,
      scores: scores ?? [face(Math.max(-12, rate)), finger(2, -12), finger(7, -12)],
    })),
    band: candidates.length > 0 ? Band.REVIEW : Band.NO_CANDIDATE,
    thresholdLog10Fmr,
    fpir: fpirOf(thresholdLog10Fmr, subjects),
    subjectsSearched: subjects,
    searchedFraction: 1,
    samples: [{ outcome: SampleOutcome.COMPARED, referencesCompared: 2347 }],
    elapsed: { seconds: 1, nanos: 234_567_890 },
    index: { penetration: 0.0371, audit: { searches: 7, candidates: 3, missed: 1 } },
  });
}

const cut = (
  response: IdentifyResponse,
  disclosure = COARSE,
  maxCandidates = 10,
  weakestLog10 = WEAKEST_CANDIDATE_LOG10,
) => discloseIdentify(response, { answer: disclosure, standardFpir: FPIR, maxCandidates, weakestLog10, measured });

/** Rates beyond the threshold of SUBJECTS, in thousandths as the service reports them. */
const rate = fc.integer({ min: -20_000, max: -6700 }).map((milli) => milli / 1000);
const list = fc
  .uniqueArray(fc.record({ id: fc.stringMatching(/^[a-f0-9]{4}$/), rate }), { selector: ({ id }) => id, maxLength: 12 })
  .map((candidates) => candidates.sort((a, b) => a.rate - b.rate));

describe('a search answered with rates in powers of ten', () => {
  it('tells the same of all searches whose rates lie in the same powers', () => {
    fc.assert(
      fc.property(list, fc.infiniteStream(fc.integer({ min: 0, max: 999 })), (candidates, moved) => {
        const elsewhere = candidates
          .map(({ id, rate }) => ({ id, rate: Math.ceil(rate) - (moved.next().value ?? 0) / 1000 }))
          .filter(({ rate }, i) => rate <= -6.7 && candidates[i].rate <= -6.7);
        const kept = candidates.filter(({ id }) => elsewhere.some((other) => other.id === id));
        const bands = new Map(kept.map(({ id }) => [id, Band.REVIEW]));
        const told = (given: typeof kept) => {
          const response = answer([...given].sort((a, b) => a.rate - b.rate));
          for (const candidate of response.candidates) candidate.band = bands.get(candidate.subjectId) ?? Band.REVIEW;
          return cut(response, COARSE, 4);
        };
        expect(told(elsewhere)).toEqual(told(kept));
      }),
    );
  });

  it('never makes a rate look stronger, nor stronger than data support, and ranks without gaps', () => {
    fc.assert(
      fc.property(list, (candidates) => {
        const told = cut(answer(candidates), COARSE, 500);
        expect(told.candidates.map(({ rank }) => rank)).toEqual(candidates.map((_, i) => i + 1));
        const exact = new Map(candidates.map(({ id, rate }) => [id, rate]));
        let last = -Infinity;
        for (const { subjectId, log10Fmr, fpir, scores } of told.candidates) {
          const rate = exact.get(subjectId) ?? NaN;
          expect(log10Fmr).toBeGreaterThanOrEqual(rate);
          expect(Number.isInteger(log10Fmr)).toBe(true);
          expect(log10Fmr).toBeLessThanOrEqual(told.thresholdLog10Fmr);
          expect(fpir).toBeGreaterThanOrEqual(fpirOf(rate, SUBJECTS));
          expect(Math.log10(fpir)).toBeCloseTo(Math.round(Math.log10(fpir)), 9);
          expect(scores).toEqual([]);
          expect(log10Fmr).toBeGreaterThanOrEqual(last);
          last = log10Fmr;
        }
      }),
    );
  });

  it('ends at what was measured: a lone face at 10⁻⁶, and where the threshold is stricter at the threshold', () => {
    const lone = { id: 'a', rate: -11.3, scores: [face(-11.3)] };
    expect(cut(answer([lone], 1000)).candidates[0].log10Fmr).toBe(-6);
    expect(cut(answer([lone], 5_000_000)).candidates[0].log10Fmr).toBe(-8);
    const two = { id: 'a', rate: -18, scores: [finger(2, -12), finger(7, -12)] };
    // Fisher's method on 10^-3.4 twice: 10^-6.8 · (1 + ln 10^6.8) = 10^-5.58.
    expect(cut(answer([two], 1000)).candidates[0].log10Fmr).toBe(-5);
  });

  it('cuts the list after the rounding, so that the cut does not order equal powers', () => {
    const candidates = [
      { id: 'z', rate: -9.9 },
      { id: 'a', rate: -9.1 },
    ];
    const told = cut(answer(candidates), COARSE, 1);
    expect(told.candidates.map(({ subjectId }) => subjectId)).toEqual(['a']);
    expect(told.truncated).toBe(true);
    expect(cut(answer(candidates), EXACT, 1).candidates.map(({ subjectId }) => subjectId)).toEqual(['z']);
  });

  it('shows no candidate beyond the threshold of the service, whatever the caller asked for', () => {
    const response = answer([
      { id: 'a', rate: -7 },
      { id: 'b', rate: -6.6 },
    ]);
    const lax = { ...response, thresholdLog10Fmr: -0.5, fpir: 1 };
    const told = cut(lax);
    expect(told.candidates.map(({ subjectId }) => subjectId)).toEqual(['a']);
    expect(told.thresholdLog10Fmr).toBe(-6);
    expect(cut(lax, EXACT).candidates).toHaveLength(2);
  });

  it('keeps to a strict rate in a small scope', () => {
    const response = answer(
      [
        { id: 'a', rate: -5.2 },
        { id: 'b', rate: -4.9 },
      ],
      5,
    );
    expect(cut(response).candidates.map(({ subjectId }) => subjectId)).toEqual(['a']);
    expect(cut(answer([{ id: 'b', rate: -4.9 }], 5)).band).toBe(Band.NO_CANDIDATE);
    expect(cut(response, COARSE, 10, 0).candidates).toHaveLength(2);
  });

  it('keeps bands, and rounds counts, shares and time', () => {
    const told = cut(answer([{ id: 'a', rate: -12 }]));
    expect(told.band).toBe(Band.STRONG_CANDIDATE);
    expect(told.samples[0].referencesCompared).toBe(10_000);
    expect(told.index?.penetration).toBeCloseTo(0.1);
    expect(told.index?.audit).toBeUndefined();
    expect(told.elapsed).toEqual({ seconds: 1, nanos: 240_000_000 });
    expect(told.subjectsSearched).toBe(SUBJECTS);
  });

  it('follows the rule of each subject', () => {
    const candidates = [
      { id: 'z', rate: -9.5 },
      { id: 'own', rate: -9.4 },
    ];
    const told = discloseIdentify(answer(candidates), {
      answer: COARSE,
      of: (id) => (id === 'own' ? EXACT : COARSE),
      standardFpir: FPIR,
      maxCandidates: 10,
      weakestLog10: WEAKEST_CANDIDATE_LOG10,
      measured: { finger: -12, face: -12 },
    });
    const seen = told.candidates.map(({ subjectId, log10Fmr, scores }: Candidate) => [
      subjectId,
      log10Fmr,
      scores.length,
    ]);
    expect(seen).toEqual([
      ['own', -9.4, 3],
      ['z', -9, 0],
    ]);
  });

  it('leaves an exact answer as it is, but explanations only where they may be seen', () => {
    const response = answer([
      { id: 'b', rate: -9.5 },
      { id: 'a', rate: -9.5 },
    ]);
    expect(cut(response, EXACT)).toEqual(response);
    const unexplained = cut(response, { ...EXACT, explanations: false });
    expect(unexplained.candidates.flatMap(({ scores }) => scores.map(({ score }) => score))).toHaveLength(6);
    expect(JSON.stringify(unexplained)).not.toContain('explanation":{');
    expect(cut(response, { ...EXACT, scores: 'none' }).candidates[0].scores).toEqual([]);
  });
});

describe('a comparison answered with rates in powers of ten', () => {
  const verified = (log10Fmr: number) =>
    VerifyResponse.fromPartial({
      log10Fmr,
      scores: [face(log10Fmr), face(log10Fmr)],
      elapsed: { seconds: 0, nanos: 1 },
    });

  it('tells one rounded rate, no rate weaker than the weakest, and no sample', () => {
    fc.assert(
      fc.property(fc.integer({ min: -60_000, max: 0 }), (milli) => {
        const rate = milli / 1000;
        const told = discloseVerify(verified(rate), COARSE, measured);
        expect(told.scores).toEqual([]);
        expect(told.elapsed).toEqual({ seconds: 0, nanos: 10_000_000 });
        expect(told.log10Fmr).toBe(rate > WEAKEST_LOG10 ? 0 : Math.max(-6, Math.ceil(rate)));
        expect(Object.is(told.log10Fmr, -0)).toBe(false);
      }),
    );
  });

  it('is left as it is for those who may see it', () => {
    expect(discloseVerify(verified(-4.321), EXACT, measured)).toEqual(verified(-4.321));
  });
});

describe('the threshold of a caller with rates in powers', () => {
  it('is never laxer than asked or than the standard, and a whole power', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-9, max: 0.5, noNaN: true }), (targetFpir) => {
        const allowed = disclosableThreshold({ targetFpir }, FPIR);
        if (targetFpir >= FPIR) expect(allowed).toBeUndefined();
        else {
          const fpir = allowed !== undefined && 'targetFpir' in allowed ? allowed.targetFpir : NaN;
          expect(fpir).toBeLessThanOrEqual(targetFpir * (1 + 1e-8));
          expect(fpir).toBeGreaterThan(targetFpir / 10.0001);
          expect(Math.log10(fpir)).toBeCloseTo(Math.round(Math.log10(fpir)), 9);
        }
      }),
    );
    expect(disclosableThreshold({ maxLog10Fmr: -6.2 }, FPIR)).toEqual({ maxLog10Fmr: -7 });
    expect(disclosableThreshold(undefined, FPIR)).toBeUndefined();
  });
});

describe('a calibration', () => {
  it('says where its measured rates end', () => {
    const kind = { modelId: 'm', dimension: 512 };
    expect(SHIPPED_CALIBRATIONS.face(kind).measuredLog10).toBeCloseTo(-6.293, 2);
    expect(SHIPPED_CALIBRATIONS.face({ ...kind, dimension: 128 }).measuredLog10).toBe(0);
    expect(SHIPPED_CALIBRATIONS.finger.measuredLog10).toBeLessThan(-3);
    expect(SHIPPED_CALIBRATIONS.finger.measuredLog10).toBeGreaterThan(-4);
  });
});
