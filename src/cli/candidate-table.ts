import Table from 'cli-table3';
import {
  EmptyScope,
  type IdentifyResponse,
  IndexWay,
  SearchMode,
  type VerifyResponse,
} from '../contract/generated/ridgewatch/v1/identification.ts';
import {
  Band,
  Modality,
  SampleOutcome,
  type SampleReport,
  type SampleScore,
} from '../contract/generated/ridgewatch/v1/sample.ts';
import { handlingLine } from './life-options.ts';
import { renderExplanations } from './explanation-table.ts';

const FINGERS = [
  'finger',
  'R thumb',
  'R index',
  'R middle',
  'R ring',
  'R little',
  'L thumb',
  'L index',
  'L middle',
  'L ring',
  'L little',
];
const BANDS: Partial<Record<Band, string>> = {
  [Band.NO_CANDIDATE]: 'no candidate',
  [Band.REVIEW]: 'review',
  [Band.STRONG_CANDIDATE]: 'strong candidate',
};

const INDEXES: Partial<Record<IndexWay, string>> = {
  [IndexWay.CODES]: 'The index (codes)',
  [IndexWay.GRAPH]: 'The index (graph)',
};

const EMPTY_SCOPES: Partial<Record<EmptyScope, string>> = {
  [EmptyScope.NO_SUBJECT]: 'no subject is in scope',
  [EmptyScope.NO_REFERENCE]: 'no subject in scope has a reference that the samples can be compared with',
};

/** e.g. `1 in 3.2 million`. */
export function oddsOf(log10Rate: number): string {
  if (log10Rate >= 0) return '1 in 1';
  const count = 10 ** -log10Rate;
  if (count < 1e4) return `1 in ${Math.round(count).toLocaleString('en')}`;
  for (const [unit, name] of [
    [1e12, 'trillion'],
    [1e9, 'billion'],
    [1e6, 'million'],
    [1e3, 'thousand'],
  ] as const) {
    if (count >= 1e15) return `1 in 10^${Math.floor(-log10Rate)}`;
    if (count >= unit) return `1 in ${(count / unit).toFixed(count / unit < 10 ? 1 : 0)} ${name}`;
  }
  return `1 in ${Math.round(count)}`;
}

/** A rate as a share, e.g. `1 %`, `0.001 %`. */
export function percentOf(rate: number): string {
  return `${Number((100 * rate).toPrecision(2))} %`;
}

function sampleName({ modality, fingerPosition }: Pick<SampleScore, 'modality' | 'fingerPosition'>): string {
  return modality === Modality.FACE ? 'face' : (FINGERS[fingerPosition] ?? 'finger');
}

function scoresOf(scores: readonly SampleScore[]): string {
  return scores.map((score) => `${sampleName(score)} ${score.score}`).join(', ');
}

function unusedOf(samples: readonly SampleReport[]): string[] {
  return samples
    .filter(({ outcome }) => outcome !== SampleOutcome.COMPARED)
    .map((sample) => `Sample ${sample.sampleIndex} (${sampleName(sample)}) was not used: ${sample.reason}`);
}

function millisecondsOf({ elapsed }: Pick<IdentifyResponse, 'elapsed'>): string {
  return `${((elapsed?.seconds ?? 0) * 1000 + (elapsed?.nanos ?? 0) / 1e6).toFixed(0)} ms`;
}

/** The measured share of mates that the index misses. */
function indexLines(response: IdentifyResponse): string[] {
  const { index } = response;
  if (index === undefined) return [];
  const { searches, candidates, missed, missRateUpper } = index.audit ?? { searches: 0, candidates: 0, missed: 0 };
  const known =
    candidates === 0 || missRateUpper === undefined
      ? 'the share of mates that the index misses has not been measured here yet'
      : `of ${candidates} first candidates of ${searches.toLocaleString('en')} searches that were repeated exactly, the index had missed ${missed} (at most ${percentOf(missRateUpper)})`;
  const proposed = `${INDEXES[index.way] ?? 'The index'} proposed ${percentOf(index.penetration)} of the subjects`;
  return [response.early ? `${proposed}.` : `${proposed}; ${known}.`];
}

/** An early list is incomplete, which its rows do not show. */
function earlyLines({ early }: IdentifyResponse): string[] {
  return early
    ? ['This is an early answer: the search was not completed, and a stronger candidate may be missing.']
    : [];
}

/** A subject with only damaged references cannot be found. */
function damageLines({ damagedReferenceCount }: IdentifyResponse): string[] {
  if (damagedReferenceCount === 0) return [];
  const count = `${damagedReferenceCount.toLocaleString('en')} stored references`;
  return [
    `Up to ${count} in scope were not compared because they are damaged. List them with "ridgewatch store check".`,
  ];
}

/** A candidate list as text. It proposes candidates for review and decides nothing. */
export function renderCandidates(response: IdentifyResponse): string {
  const mode = response.searchMode === SearchMode.EXACT ? 'exactly' : 'through an index';
  const searched = response.searchedFraction < 1 ? ` (${percentOf(response.searchedFraction)} of them)` : '';
  const lines = [
    `Searched ${response.subjectsSearched.toLocaleString('en')} subjects ${mode}${searched} in ${millisecondsOf(response)}.`,
    `Threshold: FMR ${oddsOf(response.thresholdLog10Fmr)} (FPIR ${percentOf(response.fpir)}: the share of searches for subjects who are not enrolled that show a candidate).`,
    ...indexLines(response),
    ...earlyLines(response),
    ...unusedOf(response.samples),
    ...damageLines(response),
  ];
  const empty = EMPTY_SCOPES[response.emptyScope];
  if (empty !== undefined)
    return [...lines, `Nothing was searched: ${empty}. This says nothing about the person.`].join('\n');
  if (response.candidates.length === 0) {
    return [
      ...lines,
      'No candidate reached the threshold. This does not prove that the person is not in the gallery.',
    ].join('\n');
  }
  const table = new Table({
    head: ['rank', 'subject', 'FMR', 'band', 'scores', 'contributor', 'caveats'],
    style: { head: [], border: [] },
  });
  for (const { rank, subjectId, log10Fmr, band, scores, contributor, caveats } of response.candidates) {
    table.push([
      rank,
      subjectId,
      `${oddsOf(log10Fmr)}${scores.some(({ extrapolated }) => extrapolated) ? ' *' : ''}`,
      BANDS[band] ?? '',
      scoresOf(scores),
      contributor,
      caveats.join(' '),
    ]);
  }
  const isExtrapolated = response.candidates.some(({ scores }) => scores.some(({ extrapolated }) => extrapolated));
  const note = isExtrapolated
    ? ['* Extrapolated: the score lies above every measured comparison of different people.']
    : [];
  const more = response.truncated ? ['More subjects reached the threshold than the list has room for.'] : [];
  return [
    ...lines,
    table.toString(),
    ...note,
    ...more,
    ...response.candidates.flatMap(({ rank, minor, handling }) => [
      ...(minor ? [`Candidate ${rank} is a minor.`] : []),
      ...(handling === undefined ? [] : [`Candidate ${rank}, its owner asks for: ${handlingLine(handling)}.`]),
    ]),
    ...response.candidates.flatMap(({ rank, scores }) =>
      renderExplanations(scores, (score) => `Candidate ${rank}, ${sampleName(score)}`),
    ),
    'Each row is a candidate for a trained examiner to look at, not an identification.',
  ].join('\n');
}

/** A 1:1 comparison as text. */
export function renderVerification(response: VerifyResponse): string {
  const table = new Table({ head: ['sample', 'score', 'FMR'], style: { head: [], border: [] } });
  for (const score of response.scores) {
    table.push([
      sampleName(score),
      score.score,
      `${oddsOf(score.log10Fmr)}${score.extrapolated ? ' (extrapolated)' : ''}`,
    ]);
  }
  return [
    ...unusedOf(response.samples),
    ...(response.scores.length > 0 ? [table.toString()] : []),
    response.scores.length > 0 ? `All samples fused: FMR ${oddsOf(response.log10Fmr)}.` : 'Nothing could be compared.',
    ...renderExplanations(response.scores, sampleName),
    'Whether it is the same person is for a trained examiner to say.',
  ].join('\n');
}
