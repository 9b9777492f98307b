import { Failure } from '../failure.ts';
import { decodeFloat32Embedding, decodeInt8Embedding, decodeStoredFace } from './face-embedding.ts';
import type { FaceTemplate } from './face-template.ts';
import type { FingerMinutiaeRecord, FingerView } from './finger-minutiae-record.ts';
import type { FingerPosition, FingerTemplate } from './finger-template.ts';
import { decodeIncits378 } from './incits-378-2004.ts';
import { decodeIso197942, encodeIso197942 } from './iso-19794-2-2005.ts';
import { toFingerTemplate } from './normalise.ts';

/** Formats in which a sample can arrive. */
export type SampleFormat = 'iso-19794-2-2005' | 'incits-378-2004' | 'face-embedding-float32' | 'face-embedding-int8';

/** Formats in which a sample is kept: one view a record, or the quantised values of a face. */
export type StoredFormat = 'iso-19794-2-2005' | 'incits-378-2004' | 'face-values-int8';

/** A sample as it arrives. */
export interface EncodedSample {
  readonly modality: 'finger' | 'face';
  readonly format: SampleFormat;
  readonly data: Uint8Array;
  /** 0: what the record says. */
  readonly fingerPosition: FingerPosition;
  /** 1 to 100; 0: what the record says. */
  readonly quality: number;
  /** Face only, else empty. */
  readonly modelId: string;
  /** Face only, else 0. */
  readonly dimension: number;
}

/** One view of a sample. */
export interface DecodedSample {
  /** Position of the view within its record. */
  readonly viewIndex: number;
  readonly template: FingerTemplate | FaceTemplate;
  /** What to store. */
  readonly record: Uint8Array;
  readonly storedFormat: StoredFormat;
}

/** A sample as it is stored. */
export interface StoredSample {
  readonly storedFormat: StoredFormat;
  readonly template: Uint8Array;
  readonly fingerPosition: FingerPosition;
  readonly quality: number;
  readonly modelId: string;
  readonly dimension: number;
}

const LARGEST_DATA = 65_536;

/**
 * Decodes a sample into its views: as many as the record holds for a finger, one for a face.
 * @throws TemplateError for malformed data; Failure that names the sample's field for everything else
 */
export function decodeSample(sample: EncodedSample): DecodedSample[] {
  const { data, quality } = sample;
  if (data.length === 0) throw refusal('DATA_MISSING', 'The template is empty.', 'data');
  if (data.length > LARGEST_DATA)
    throw refusal('DATA_TOO_LARGE', `The template has more than ${LARGEST_DATA} bytes.`, 'data');
  if (quality > 100) throw refusal('QUALITY_INVALID', 'The quality is above 100.', 'quality');
  return sample.modality === 'face' ? [decodeFace(sample)] : decodeFingers(sample);
}

/** Decodes a sample that passed `decodeSample` when it was stored. */
export function decodeStored(stored: StoredSample): FingerTemplate | FaceTemplate {
  const { storedFormat, template, fingerPosition, quality, modelId, dimension } = stored;
  if (storedFormat === 'face-values-int8') return decodeStoredFace(template, { modelId, dimension, quality });
  const record = storedFormat === 'iso-19794-2-2005' ? decodeIso197942(template) : decodeIncits378(template);
  const [view] = record.views;
  if (view === undefined) throw new Error('a stored record holds no view');
  return { ...toFingerTemplate(record, view), position: fingerPosition, quality };
}

function decodeFace(sample: EncodedSample): DecodedSample {
  if (sample.fingerPosition !== 0) throw refusal('NOT_FOR_A_FACE', 'A face has no finger position.', 'finger_position');
  const { modelId, dimension, quality, data } = sample;
  const decode = sample.format === 'face-embedding-int8' ? decodeInt8Embedding : decodeFloat32Embedding;
  const template = decode(data, { modelId, dimension, quality });
  const { buffer, byteOffset, byteLength } = template.values;
  const record = new Uint8Array(buffer, byteOffset, byteLength);
  return { viewIndex: 0, template, record, storedFormat: 'face-values-int8' };
}

function decodeFingers(sample: EncodedSample): DecodedSample[] {
  if (sample.modelId !== '') throw refusal('NOT_FOR_A_FINGER', 'A finger has no face model.', 'model_id');
  if (sample.dimension !== 0) throw refusal('NOT_FOR_A_FINGER', 'A finger has no dimension.', 'dimension');
  const isIso = sample.format === 'iso-19794-2-2005';
  const record = isIso ? decodeIso197942(sample.data) : decodeIncits378(sample.data);
  const isSingle = record.views.length === 1;
  return record.views.map((view, viewIndex) => {
    const position = positionOf(sample, view, isSingle);
    requireSameQuality(sample, view);
    const quality = view.quality || sample.quality;
    return {
      viewIndex,
      template: { ...toFingerTemplate(record, view), position, quality },
      record: isSingle ? sample.data : encodeIso197942(singleView(record, view)),
      storedFormat: isSingle ? (sample.format as StoredFormat) : 'iso-19794-2-2005',
    };
  });
}

function positionOf({ fingerPosition }: EncodedSample, view: FingerView, isSingle: boolean): FingerPosition {
  if (fingerPosition === 0) return view.position;
  if (!isSingle) {
    const sentence = 'The record holds several views; their positions must be in the record.';
    throw refusal('POSITION_AMBIGUOUS', sentence, 'finger_position');
  }
  if (view.position !== 0 && view.position !== fingerPosition) {
    throw refusal('POSITION_CONTRADICTS_RECORD', 'The record says that it is another finger.', 'finger_position');
  }
  return fingerPosition;
}

function requireSameQuality({ quality }: EncodedSample, view: FingerView): void {
  if (quality === 0 || view.quality === 0 || quality === view.quality) return;
  throw refusal('QUALITY_CONTRADICTS_RECORD', 'The record states another quality.', 'quality');
}

/** One view of a record of several, as a record of its own. Angles become ISO's. */
function singleView(record: FingerMinutiaeRecord, view: FingerView): FingerMinutiaeRecord {
  const toIso = (angle: number) => Math.round((angle * 256) / record.angleUnitsPerTurn) & 255;
  const minutiae = view.minutiae.map((minutia) => ({ ...minutia, angle: toIso(minutia.angle) }));
  return { ...record, angleUnitsPerTurn: 256, views: [{ ...view, minutiae }] };
}

function refusal(reason: string, message: string, field: string): Failure {
  return new Failure('invalid-argument', reason, message, { field });
}
