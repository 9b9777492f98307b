/** What keeps the answers of many calls from adding up to a stored template. */
import type { VerifyBudgets } from '../access/budgets.ts';
import type { Disclosure, Grant, RecordFacts } from '../access/grant.ts';
import { LOCAL_CLIENT } from '../access/local-client.ts';
import type { ProbeWindow, WatchedProbe } from '../access/probe-window.ts';
import { Failure } from '../failure.ts';
import type { Calibrations } from '../matching/rates/calibrations.ts';
import { vectorOf } from '../matching/kernels/similarity.ts';
import type { FaceSpectra } from '../matching/search/face-spectra.ts';
import type { Probe, SampleTemplate } from '../matching/search/probe.ts';
import { implausible, requirePlausibleFace } from '../templates/face-plausibility.ts';
import type { MeasuredRates } from './disclosed-answers.ts';

export interface Safeguards {
  readonly budgets: VerifyBudgets;
  readonly window: ProbeWindow;
  readonly spectra: Pick<FaceSpectra, 'admits'>;
  /** What was spent before this process. */
  readonly history: {
    /** Waits until it is known. @throws Failure BUDGETS_UNREAD; the reason of the signal */
    requireRead(signal: AbortSignal): Promise<void>;
  };
}

/**
 * Whether a caller is watched. The client of the machine itself reads the keys of everything stored, and synthetic
 * records, which purpose `test` is limited to, belong to no person.
 */
export function isWatched({ client, purpose }: Grant): boolean {
  return client.clientId !== LOCAL_CLIENT && purpose !== 'test';
}

/** What the answer as a whole may say: about no record in particular, without a contributor and caveats. */
export function answerDisclosure(grant: Grant): Disclosure {
  const provenance = grant.purpose === 'test' ? 'synthetic' : 'controlled';
  return grant.discloses({ contributor: '', caveats: [], provenance });
}

/** @throws Failure EXPLANATION_NOT_PERMITTED */
export function requireExplainable(disclosure: Disclosure, explain: boolean): void {
  if (!explain || disclosure.explanations) return;
  const sentence = 'The client may not have explanations: they show minutiae of the references.';
  throw new Failure('permission-denied', 'EXPLANATION_NOT_PERMITTED', sentence, { field: 'explain' });
}

/**
 * Refuses faces that no model makes, and those that lie unlike the enrolled faces of their model.
 * @throws Failure SAMPLE_IMPLAUSIBLE with the field of the sample, the same for both
 */
export function requirePlausible({ spectra }: Pick<Safeguards, 'spectra'>, samples: readonly SampleTemplate[]): void {
  for (const { sampleIndex, template } of samples) {
    if (template.modality !== 'face') continue;
    try {
      requirePlausibleFace(template);
      if (!spectra.admits(template)) throw implausible();
    } catch (thrown) {
      throw thrown instanceof Failure ? thrown.within(`samples[${sampleIndex}]`) : thrown;
    }
  }
}

/** Notes the probes of a search, or of a comparison with a subject. @throws Failure PROBES_ALIKE */
export function admitProbes({ window }: Safeguards, { client }: Grant, probes: readonly Probe[]): void {
  window.admit(client, probes.flatMap(watched));
}

function watched({ template, packed }: Probe): WatchedProbe[] {
  if (template.modality === 'face') return [{ trait: `face:${template.modelId}`, vector: template.values }];
  return packed?.modality === 'finger' ? [{ trait: 'finger', vector: vectorOf(packed.packed) }] : [];
}

/** log10 of the lowest measured false match rates for the samples of a request. */
export function measuredRates(calibrations: Calibrations, samples: readonly SampleTemplate[]): MeasuredRates {
  const rates = { finger: 0, face: 0 };
  for (const { template } of samples) rates[template.modality] = calibrations.of(template).measuredLog10;
  return rates;
}

/** Comparisons of one call that a budget counts: with exact answers, each sample tells something of its own. */
export function comparisonsOf(disclosure: Disclosure, samples: readonly SampleTemplate[]): number {
  return disclosure.scores === 'exact' ? samples.length : 1;
}

/** Facts of a record that is not there: nothing is disclosed about it. */
export const NO_RECORD: RecordFacts = { contributor: '', caveats: [], provenance: 'unspecified' };
