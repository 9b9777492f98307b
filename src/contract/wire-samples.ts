/** Conversion of samples between wire and domain. */
import { Failure } from '../failure.ts';
import type { FingerPosition } from '../templates/finger-template.ts';
import { decodeSample, type DecodedSample, type SampleFormat } from '../templates/sample.ts';
import { statedViews } from '../templates/stated-views.ts';
import { inTurn } from './decoding-turns.ts';
import { Modality, SampleOutcome, TemplateFormat, type Sample } from './generated/ridgewatch/v1/sample.ts';
import type { SampleReport as WireSampleReport } from './generated/ridgewatch/v1/sample.ts';
import type { Probe } from '../matching/search/probe.ts';
import { minutiaCountOf } from '../matching/search/probe.ts';
import { MAX_VIEWS } from './wire-limits.ts';
import { toWireWarnings } from './wire-warnings.ts';

/** A configured face model. */
export interface FaceModel {
  readonly id: string;
  readonly dimension: number;
}

const FORMATS: Partial<Record<number, SampleFormat>> = {
  [TemplateFormat.ISO_19794_2_2005]: 'iso-19794-2-2005',
  [TemplateFormat.INCITS_378_2004]: 'incits-378-2004',
  [TemplateFormat.FACE_EMBEDDING_FLOAT32]: 'face-embedding-float32',
  [TemplateFormat.FACE_EMBEDDING_INT8]: 'face-embedding-int8',
};

/** The wire value of a stored format. */
export function formatToWire(format: string): TemplateFormat {
  for (const [wire, name] of Object.entries(FORMATS)) if (name === format) return Number(wire) as TemplateFormat;
  return TemplateFormat.UNSPECIFIED;
}

/** A decoded view, with data from its sample in the request. */
export interface RequestSample extends DecodedSample {
  readonly sampleIndex: number;
  readonly format: SampleFormat;
  readonly captureTime: Date | undefined;
}

/** Tolerated difference of the capture device's clock. */
const CLOCK_TOLERANCE_MS = 5 * 60_000;

/**
 * Decodes all views of all samples of a request, in turns with other requests.
 * @param path - path of the samples in the request, for errors, e.g. `samples`
 * @throws Failure that names the sample and the field, for malformed templates, unknown formats and unknown face
 *   models; Failure TOO_MANY_VIEWS; the signal's reason
 */
export async function decodeSamples(
  samples: readonly Sample[],
  models: ReadonlyMap<string, FaceModel>,
  path: string,
  signal?: AbortSignal,
): Promise<RequestSample[]> {
  requireFewViews(samples, path);
  const decoded: RequestSample[] = [];
  for (const [sampleIndex, sample] of samples.entries()) {
    signal?.throwIfAborted();
    decoded.push(...(await inTurn(() => decodeAt(sample, sampleIndex, models, path))));
  }
  return decoded;
}

/** Decodes all samples without yielding, for threads that serve no other work. */
export function decodeSamplesAtOnce(
  samples: readonly Sample[],
  models: ReadonlyMap<string, FaceModel>,
  path: string,
): RequestSample[] {
  requireFewViews(samples, path);
  return samples.flatMap((sample, sampleIndex) => decodeAt(sample, sampleIndex, models, path));
}

/** Every view costs as much as a sample. The record headers state the number of views before anything is decoded. */
function requireFewViews(samples: readonly Sample[], path: string): void {
  let views = 0;
  for (const { format, data } of samples) {
    const known = FORMATS[format];
    views += known === undefined ? 1 : statedViews(known, data);
  }
  if (views <= MAX_VIEWS) return;
  throw new Failure(
    'invalid-argument',
    'TOO_MANY_VIEWS',
    `The samples contain more than ${MAX_VIEWS} views in total.`,
    {
      field: path,
    },
  );
}

function decodeAt(
  sample: Sample,
  sampleIndex: number,
  models: ReadonlyMap<string, FaceModel>,
  path: string,
): RequestSample[] {
  try {
    return decodeOne(sample, sampleIndex, models);
  } catch (thrown) {
    throw thrown instanceof Failure ? thrown.within(`${path}[${sampleIndex}]`) : thrown;
  }
}

function decodeOne(sample: Sample, sampleIndex: number, models: ReadonlyMap<string, FaceModel>): RequestSample[] {
  const format = FORMATS[sample.format];
  if (format === undefined) {
    throw new Failure('invalid-argument', 'UNKNOWN_FORMAT', 'The template format is missing or unknown.', {
      field: 'format',
    });
  }
  const isFace = format.startsWith('face');
  if (sample.modality !== (isFace ? Modality.FACE : Modality.FINGER)) {
    throw new Failure('invalid-argument', 'MODALITY_MISMATCH', 'The modality does not match the format.', {
      field: 'modality',
    });
  }
  if (sample.fingerPosition < 0 || sample.fingerPosition > 10) {
    throw new Failure('invalid-argument', 'UNKNOWN_FINGER_POSITION', 'The finger position must be 0 to 10.', {
      field: 'finger_position',
    });
  }
  const { captureTime } = sample;
  if (captureTime !== undefined && !(captureTime.getTime() <= Date.now() + CLOCK_TOLERANCE_MS)) {
    throw new Failure(
      'invalid-argument',
      'CAPTURE_TIME_INVALID',
      'The capture time must be a valid time that is not in the future.',
      {
        field: 'capture_time',
      },
    );
  }
  const views = decodeSample({
    modality: isFace ? 'face' : 'finger',
    format,
    data: sample.data,
    fingerPosition: sample.fingerPosition as FingerPosition,
    quality: sample.quality,
    modelId: sample.modelId,
    dimension: sample.dimension,
  });
  if (isFace) checkModel(sample, models);
  return views.map((view) => ({ ...view, sampleIndex, format, captureTime }));
}

function checkModel(sample: Sample, models: ReadonlyMap<string, FaceModel>): void {
  const model = models.get(sample.modelId);
  if (model === undefined) {
    throw new Failure('failed-precondition', 'UNKNOWN_MODEL', 'The service has no face model with this id.', {
      field: 'model_id',
      metadata: { known_models: [...models.keys()].join(',') },
    });
  }
  if (model.dimension !== sample.dimension) {
    throw new Failure(
      'invalid-argument',
      'WRONG_DIMENSION',
      `Embeddings of this model have ${model.dimension} components, not ${sample.dimension}.`,
      {
        field: 'dimension',
      },
    );
  }
}

/**
 * Reports how each probe was used.
 * @param inScope - for each probe, the number of references in scope that it can be compared with
 */
export function reportSamples(
  probes: readonly Probe[],
  compared: readonly number[],
  inScope: readonly number[],
): WireSampleReport[] {
  return probes.map((probe, i) => {
    const { template, sampleIndex, viewIndex } = probe;
    const referencesCompared = compared[i] ?? 0;
    const outcome =
      probe.packed === undefined
        ? SampleOutcome.NOT_COMPARABLE
        : inScope[i] === 0
          ? SampleOutcome.NOTHING_TO_COMPARE
          : SampleOutcome.COMPARED;
    return {
      sampleIndex,
      viewIndex,
      modality: template.modality === 'finger' ? Modality.FINGER : Modality.FACE,
      fingerPosition: template.modality === 'finger' ? template.position : 0,
      quality: template.quality,
      outcome,
      reason: REASONS[outcome] ?? '',
      minutiaCount: minutiaCountOf(template),
      referencesCompared,
      warnings: toWireWarnings([probe]),
    };
  });
}

const REASONS: Partial<Record<SampleOutcome, string>> = {
  [SampleOutcome.NOT_COMPARABLE]: 'The template has too few minutiae to be compared.',
  [SampleOutcome.NOTHING_TO_COMPARE]: 'There is no reference to compare it with.',
};
