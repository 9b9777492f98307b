/** Wire forms of the results of searches and comparisons. */
import { shippedVectorModel } from '../matching/model/shipped-model.ts';
import type { ModelVersion as DomainModelVersion } from '../matching/rates/model-version.ts';
import type { SampleScore as DomainSampleScore } from '../matching/search/candidate-list.ts';
import type { EmptyScope as DomainEmptyScope, SearchResult } from '../matching/search/identification.ts';
import type { Identified, Verified } from '../matching/search/searcher.ts';
import {
  EmptyScope,
  SearchMode,
  type IdentifyResponse,
  type IndexReport,
  type ModelVersion,
  type VerifyResponse,
} from '../contract/generated/ridgewatch/v1/identification.ts';
import { Modality, type SampleScore } from '../contract/generated/ridgewatch/v1/sample.ts';
import { BANDS } from '../contract/wire-bands.ts';
import { reportSamples } from '../contract/wire-samples.ts';
import { toDuration } from '../contract/wire-duration.ts';
import { toWireExplanation } from '../contract/wire-explanation.ts';
import { toWireHandling } from '../contract/wire-handling.ts';
import { toWireWay } from '../contract/wire-names.ts';

export function identifyResponse(
  requestId: string,
  { probes, result, modelVersions, audit, damagedReferences }: Identified,
  elapsedMs: number,
): IdentifyResponse {
  return {
    requestId,
    candidates: result.candidates.map(({ subject, rank, log10Fmr, fpir, band, isMinor, scores }) => ({
      subjectId: subject.subjectId,
      rank,
      log10Fmr,
      fpir,
      band: BANDS[band],
      scores: scores.map(toWireScore),
      contributor: subject.attributes.contributor,
      caveats: [...subject.attributes.caveats],
      provenance: subject.attributes.provenance,
      handling: subject.attributes.handling && toWireHandling(subject.attributes.handling),
      minor: isMinor,
    })),
    band: BANDS[result.band],
    thresholdLog10Fmr: result.thresholdLog10,
    fpir: result.fpir,
    searchMode: result.mode === 'exact' ? SearchMode.EXACT : SearchMode.INDEXED,
    searchedFraction: result.searchedFraction,
    subjectsSearched: result.subjectsSearched,
    galleryVersion: result.galleryVersion,
    modelVersions: modelVersions.map(toWireModel),
    samples: reportSamples(probes, result.compared, result.inScope),
    truncated: result.truncated,
    elapsed: toDuration(elapsedMs),
    index: indexReport(result, audit),
    emptyScope: result.emptyScope === undefined ? EmptyScope.UNSPECIFIED : EMPTY_SCOPES[result.emptyScope],
    damagedReferenceCount: damagedReferences,
    early: result.isEarly,
    caseId: '',
  };
}

function indexReport({ way, penetration, faceDirections }: SearchResult, audit: Identified['audit']) {
  if (way === undefined) return undefined;
  return {
    vectorModelHash: shippedVectorModel().hash,
    penetration,
    audit,
    faceDirectionsHash: faceDirections ?? '',
    way: toWireWay(way),
  } satisfies IndexReport;
}

export function verifyResponse(
  requestId: string,
  { probes, result, modelVersions }: Verified,
  elapsedMs: number,
): Omit<VerifyResponse, 'referenceWarnings'> {
  return {
    requestId,
    log10Fmr: result.log10Fmr,
    scores: result.scores.map(toWireScore),
    samples: reportSamples(probes, result.compared, result.compared),
    modelVersions: modelVersions.map(toWireModel),
    galleryVersion: result.galleryVersion,
    elapsed: toDuration(elapsedMs),
  };
}

const EMPTY_SCOPES: Record<DomainEmptyScope, EmptyScope> = {
  'no-subject': EmptyScope.NO_SUBJECT,
  'no-reference': EmptyScope.NO_REFERENCE,
};

function toWireScore({
  probe,
  referenceId,
  score,
  log10Fmr,
  extrapolated,
  explanation,
}: DomainSampleScore): SampleScore {
  const { sampleIndex, viewIndex, template } = probe;
  return {
    sampleIndex,
    viewIndex,
    modality: template.modality === 'finger' ? Modality.FINGER : Modality.FACE,
    fingerPosition: template.modality === 'finger' ? template.position : 0,
    referenceId: referenceId ?? '',
    score,
    log10Fmr,
    extrapolated,
    explanation: explanation && toWireExplanation(explanation),
  };
}

function toWireModel({ modality, ...version }: DomainModelVersion): ModelVersion {
  return { modality: modality === 'finger' ? Modality.FINGER : Modality.FACE, ...version };
}
