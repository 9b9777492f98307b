/** Rules for requests about cases. */
import { z } from 'zod';
import { MAX_CASE_CANDIDATES } from '../sharing/cases/case.ts';
import {
  CandidateConclusion,
  CaseFinding,
  CaseState,
  ConclusionReason,
  ProbeValue,
} from './generated/ridgewatch/v1/cases.ts';
import { comment } from './text-rules.ts';
import { knows, name, uuid } from './validation.ts';

const MAX_PAGE = 100;
const MAX_MINUTIAE = 1000;

const known = (enumeration: Readonly<Record<string, number>>, what: string) =>
  z.number().refine((value) => value !== 0 && knows(enumeration, value), `is not a known ${what}`);
const whole = (most: number) => {
  const sentence = `must be a whole number from 0 to ${most}`;
  return z.number(sentence).int(sentence).min(0, sentence).max(most, sentence);
};

/** Reasons for each conclusion, besides OTHER. */
const REASONS: ReadonlyMap<number, readonly ConclusionReason[]> = new Map([
  [CandidateConclusion.CONFIRMED, [ConclusionReason.CORRESPONDING_DETAIL]],
  [CandidateConclusion.EXCLUDED, [ConclusionReason.DIFFERING_DETAIL]],
  [CandidateConclusion.INCONCLUSIVE, [ConclusionReason.LOW_QUALITY, ConclusionReason.LITTLE_IN_COMMON]],
]);

const decision = z
  .object({
    subjectId: uuid,
    conclusion: known(CandidateConclusion, 'conclusion'),
    reason: known(ConclusionReason, 'reason'),
    text: comment,
  })
  .refine(
    ({ conclusion, reason }) =>
      (reason as ConclusionReason) === ConclusionReason.OTHER ||
      REASONS.get(conclusion)?.includes(reason as ConclusionReason) === true,
    { error: 'does not belong to the conclusion', path: ['reason'] },
  )
  .refine(({ reason, text }) => (reason as ConclusionReason) !== ConclusionReason.OTHER || text.trim() !== '', {
    error: 'is required for the reason OTHER',
    path: ['text'],
  });

export const caseIdRules = z.object({ caseId: uuid });
export const listCasesRules = z.object({
  agency: name.or(z.literal('')),
  state: z.number().refine((value) => knows(CaseState, value), 'is not a known state'),
  pageSize: whole(MAX_PAGE),
  afterCaseId: uuid.or(z.literal('')),
});
export const analysisRules = z.object({
  caseId: uuid,
  value: known(ProbeValue, 'value'),
  usableMinutiae: whole(MAX_MINUTIAE),
  text: comment,
});
export const decideRules = z.object({
  caseId: uuid,
  decisions: z
    .array(decision)
    .min(1, 'needs at least one decision')
    .max(MAX_CASE_CANDIDATES, `must have at most ${MAX_CASE_CANDIDATES} decisions`),
});
export const escalateRules = z.object({
  caseId: uuid,
  reason: comment.refine((text) => text.trim() !== '', 'is required'),
});
export const outcomeRules = z.object({
  caseId: uuid,
  subjectId: uuid,
  finding: known(CaseFinding, 'finding'),
  text: comment,
});
