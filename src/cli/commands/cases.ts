import {
  CandidateConclusion,
  CaseFinding,
  CaseState,
  ConclusionReason,
  ProbeValue,
  ReviewCase,
  type CandidateDecision,
  type CaseReview,
} from '../../contract/generated/ridgewatch/v1/cases.ts';
import { Band } from '../../contract/generated/ridgewatch/v1/sample.ts';
import { toProtoJson } from '../../contract/proto-json.ts';
import { nameOf, purposeName } from '../../contract/wire-names.ts';
import { Failure } from '../../failure.ts';
import { EXIT } from '../exit-codes.ts';
import { printResult } from '../output.ts';
import type { ConnectionOptions } from '../shared-options.ts';
import { withService } from './client.ts';

interface ListOptions extends ConnectionOptions {
  readonly agency?: string;
  readonly state?: string;
}

interface AnalyseOptions extends ConnectionOptions {
  readonly value: string;
  readonly minutiae: number;
  readonly text: string;
}

interface DecideOptions extends ConnectionOptions {
  readonly candidate?: readonly string[];
}

interface EscalateOptions extends ConnectionOptions {
  readonly reason: string;
}

interface OutcomeOptions extends ConnectionOptions {
  readonly finding: string;
  readonly text: string;
}

/** Cases in one call; more are asked for page by page. */
const PAGE = 100;

export function listCases(_: readonly string[], options: ListOptions): Promise<number> {
  return withService(options, async (service) => {
    const cases: ReviewCase[] = [];
    const damaged: string[] = [];
    const state = valueOf(CaseState, options.state ?? 'unspecified');
    let afterCaseId = '';
    do {
      const page = await service.listCases({ agency: options.agency ?? '', state, pageSize: PAGE, afterCaseId });
      cases.push(...page.cases);
      damaged.push(...page.damagedCaseIds);
      afterCaseId = page.nextAfterCaseId;
    } while (afterCaseId !== '');
    const lines = cases.map(lineOf);
    if (damaged.length > 0) lines.push(`Changed outside the service, and void: ${damaged.join(', ')}.`);
    const document = { cases: cases.map(documentOf), damaged_case_ids: damaged };
    printResult(options, document, lines.length === 0 ? 'There are no cases.' : lines.join('\n'));
    return EXIT.ok;
  });
}

export function showCase([caseId]: readonly string[], options: ConnectionOptions): Promise<number> {
  return withService(options, async (service) => print(options, await service.getCase({ caseId })));
}

export function analyseCase([caseId]: readonly string[], options: AnalyseOptions): Promise<number> {
  const { value, minutiae: usableMinutiae, text } = options;
  const request = { caseId, value: valueOf(ProbeValue, value), usableMinutiae, text };
  return withService(options, async (service) => print(options, await service.submitAnalysis(request)));
}

export function decideCase([caseId]: readonly string[], options: DecideOptions): Promise<number> {
  const decisions = (options.candidate ?? []).map(decisionOf);
  return withService(options, async (service) => print(options, await service.decide({ caseId, decisions })));
}

export function escalateCase([caseId]: readonly string[], options: EscalateOptions): Promise<number> {
  const { reason } = options;
  return withService(options, async (service) => print(options, await service.escalate({ caseId, reason })));
}

export function reportOutcome([caseId, subjectId]: readonly string[], options: OutcomeOptions): Promise<number> {
  const { finding, text } = options;
  return withService(options, async (service) => {
    await service.reportOutcome({ caseId, subjectId, finding: valueOf(CaseFinding, finding), text });
    printResult(options, { case_id: caseId, subject_id: subjectId, finding }, 'The outcome is reported.');
    return EXIT.ok;
  });
}

/** `SUBJECT=conclusion:reason[:text]` */
function decisionOf(given: string): CandidateDecision {
  const [, subjectId = '', conclusion = '', reason = '', text = ''] =
    /^([^=]*)=([a-z-]+):([a-z-]+)(?::(.*))?$/s.exec(given) ?? [];
  const known = {
    conclusion: valueOf(CandidateConclusion, conclusion),
    reason: valueOf(ConclusionReason, reason),
  };
  if (subjectId !== '' && known.conclusion > 0 && known.reason > 0) return { subjectId, ...known, text };
  const sentence = '--candidate is SUBJECT=conclusion:reason[:text], with names that --help lists.';
  throw new Failure('invalid-argument', 'USAGE', sentence, { field: 'candidate' });
}

function print(options: ConnectionOptions, { reviewCase }: { reviewCase?: ReviewCase | undefined }): number {
  if (reviewCase === undefined) throw new Error('the answer has no case');
  printResult(options, documentOf(reviewCase), describe(reviewCase));
  return EXIT.ok;
}

function documentOf(one: ReviewCase): object {
  const names = { state: nameOf(CaseState, one.state), purpose: purposeName(one.purpose) };
  return { ...(toProtoJson(ReviewCase.toJSON(one)) as object), ...names };
}

function lineOf({ caseId, state, agency, checkpointId, purpose, expireTime, candidateCount }: ReviewCase): string {
  const until = expireTime?.toISOString() ?? '';
  return `${caseId}  ${nameOf(CaseState, state)}  ${candidateCount} candidates, at ${checkpointId} of ${agency} for ${purposeName(purpose)}, until ${until}`;
}

function describe(one: ReviewCase): string {
  const { probe, candidates, withheldCount, analyses, reviews, escalation, resolution, outcomes } = one;
  const lines = [lineOf(one)];
  if (probe.length > 0) lines.push(`Probe: ${probe.length} samples (--json has them).`);
  if (withheldCount > 0) lines.push(`You may not see ${withheldCount} of the records: others have to decide.`);
  for (const { rank, subjectId, contributor, band, log10Fmr } of candidates)
    lines.push(`${rank}. ${subjectId} of ${contributor}: ${nameOf(Band, band)}, false match rate 10^${log10Fmr}`);
  for (const { clientId, value, usableMinutiae, text } of analyses)
    lines.push(`Analysis by ${clientId}: ${nameOf(ProbeValue, value)}, ${usableMinutiae} minutiae. ${text}`.trimEnd());
  for (const review of reviews) lines.push(...describeReview('Decision', review));
  if (escalation !== undefined) lines.push(`Handed to a supervisor by ${escalation.clientId}: ${escalation.reason}`);
  if (resolution !== undefined) lines.push(...describeReview('Decision of the supervisor', resolution));
  for (const { agency, subjectId, finding, text } of outcomes)
    lines.push(`Found out by ${agency} about ${subjectId}: ${nameOf(CaseFinding, finding)}. ${text}`.trimEnd());
  return lines.join('\n');
}

function describeReview(what: string, { clientId, decisions }: CaseReview): string[] {
  return decisions.map(({ subjectId, conclusion, reason, text }) =>
    `${what} by ${clientId} about ${subjectId}: ${nameOf(CandidateConclusion, conclusion)}, ${nameOf(ConclusionReason, reason)}. ${text}`.trimEnd(),
  );
}

/** @param name - e.g. `same-person` @returns 0: there is no such value */
function valueOf<T extends number>(enumeration: Readonly<Record<string, T | string>>, name: string): T {
  const value = enumeration[name.toUpperCase().replaceAll('-', '_')];
  return (typeof value === 'number' ? value : 0) as T;
}
