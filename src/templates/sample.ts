import { Failure } from '../failure.ts';
import { decodeFloat32Embedding, decodeInt8Embedding, decodeStoredFace } from './face-embedding.ts';
import type { FaceTemplate } from './face-template.ts';
import type { FingerMinutiaeRecord, FingerView } from './finger-minutiae-record.ts';
import type { FingerPosition, FingerTemplate } from './finger-template.ts';
import { isSound } from './extended-data.ts';
import { cutIncits378, decodeIncits378, encodeIncits378 } from './incits-378-2004.ts';
import { cutIso197942, decodeIso197942, encodeIso197942 } from './iso-19794-2-2005.ts';
import { standardOf, type MinutiaeStandard } from './minutiae-standard.ts';
import { toFingerTemplate } from './normalise.ts';
import { ArrivalNotices, type Notice, type SampleWarning } from './sample-warnings.ts';
import { TemplateError } from './template-error.ts';

/** Formats of arriving samples. */
export type SampleFormat = 'iso-19794-2-2005' | 'incits-378-2004' | 'face-embedding-float32' | 'face-embedding-int8';

/** Formats of stored samples: records of one view, or the quantised values of a face. */
export type StoredFormat = 'iso-19794-2-2005' | 'incits-378-2004' | 'face-values-int8';

/** A sample on arrival. */
export interface EncodedSample {
  readonly modality: 'finger' | 'face';
  readonly format: SampleFormat;
  readonly data: Uint8Array;
  /** 0: as the record states. */
  readonly fingerPosition: FingerPosition;
  /** 1 to 100; 0: as the record states. */
  readonly quality: number;
  /** Face only, otherwise empty. */
  readonly modelId: string;
  /** Face only, otherwise 0. */
  readonly dimension: number;
}

/** One view of a sample. */
export interface DecodedSample {
  /** Position of the view within its record. */
  readonly viewIndex: number;
  readonly template: FingerTemplate | FaceTemplate;
  /** The bytes to store. */
  readonly record: Uint8Array;
  readonly storedFormat: StoredFormat;
  /** Warnings about the view, each kind once per sample. Warnings about the whole record are with the first view. */
  readonly warnings: readonly SampleWarning[];
}

/** A sample as stored. */
export interface StoredSample {
  readonly storedFormat: StoredFormat;
  readonly template: Uint8Array;
  readonly fingerPosition: FingerPosition;
  readonly quality: number;
  readonly modelId: string;
  readonly dimension: number;
}

const MAX_DATA = 65_536;

/**
 * Decodes a sample into its views: all of the record for a finger, one for a face. The templates equal those that
 * `decodeStored` makes of the stored records.
 * @throws TemplateError for malformed data; Failure that names the sample's field for all other errors
 */
export function decodeSample(sample: EncodedSample): DecodedSample[] {
  const { data, quality } = sample;
  if (data.length === 0) throw refusal('DATA_MISSING', 'The template is empty.', 'data');
  if (data.length > MAX_DATA) throw refusal('DATA_TOO_LARGE', `The template has more than ${MAX_DATA} bytes.`, 'data');
  if (quality > 100) throw refusal('QUALITY_INVALID', 'The quality is above 100.', 'quality');
  return sample.modality === 'face' ? [decodeFace(sample)] : decodeFingers(sample);
}

/** Decodes a sample that passed `decodeSample` before it was stored. */
export function decodeStored(stored: StoredSample): FingerTemplate | FaceTemplate {
  const { storedFormat, template, fingerPosition, quality, modelId, dimension } = stored;
  if (storedFormat === 'face-values-int8') return decodeStoredFace(template, { modelId, dimension, quality });
  const record = CODECS[storedFormat].decode(template);
  const [view] = record.views;
  if (view === undefined) throw new Error('a stored record holds no view');
  return { ...toFingerTemplate(record, view), position: fingerPosition, quality };
}

function decodeFace(sample: EncodedSample): DecodedSample {
  if (sample.fingerPosition !== 0) throw refusal('NOT_FOR_A_FACE', 'A face has no finger position.', 'finger_position');
  const { modelId, dimension, quality, data } = sample;
  const decode = sample.format === 'face-embedding-int8' ? decodeInt8Embedding : decodeFloat32Embedding;
  const notices = new ArrivalNotices();
  const template = decode(data, { modelId, dimension, quality }, notices.notice);
  const { buffer, byteOffset, byteLength } = template.values;
  const record = new Uint8Array(buffer, byteOffset, byteLength);
  return { viewIndex: 0, template, record, storedFormat: 'face-values-int8', warnings: notices.warnings };
}

function decodeFingers(sample: EncodedSample): DecodedSample[] {
  if (sample.modelId !== '') throw refusal('NOT_FOR_A_FINGER', 'A finger has no face model.', 'model_id');
  if (sample.dimension !== 0) throw refusal('NOT_FOR_A_FINGER', 'A finger has no dimension.', 'dimension');
  const storedFormat = sample.format as MinutiaeStandard;
  const notices = new ArrivalNotices();
  const record = readRecord(sample.data, storedFormat, notices.notice);
  const isSingle = record.views.length === 1;
  return record.views.map((view, viewIndex) => {
    const fingerPosition = positionOf(sample, view, isSingle);
    requireSameQuality(sample, view);
    const quality = view.quality || sample.quality;
    const stored = isSingle
      ? withoutPadding(sample.data, storedFormat, notices)
      : CODECS[storedFormat].encode(singleView(record, view));
    return {
      viewIndex,
      template: decodeStored({ storedFormat, template: stored, fingerPosition, quality, modelId: '', dimension: 0 }),
      record: stored,
      storedFormat,
      warnings: notices.warnings.filter((warning) => warning.viewIndex === viewIndex),
    };
  });
}

const CODECS = {
  'iso-19794-2-2005': {
    decode: decodeIso197942,
    encode: encodeIso197942,
    cut: cutIso197942,
    name: 'ISO/IEC 19794-2:2005',
  },
  'incits-378-2004': {
    decode: decodeIncits378,
    encode: encodeIncits378,
    cut: cutIncits378,
    name: 'ANSI/INCITS 378-2004',
  },
} as const;

/** Reads a record. A record of the other standard is rejected as such. */
function readRecord(data: Uint8Array, format: MinutiaeStandard, notice: Notice): FingerMinutiaeRecord {
  try {
    return CODECS[format].decode(data, notice);
  } catch (thrown) {
    const standard = standardOf(data);
    if (!(thrown instanceof TemplateError) || standard === undefined || standard === format) throw thrown;
    const sentence = `The format says ${CODECS[format].name}, the header of the record that it is of ${CODECS[standard].name}.`;
    throw refusal('FORMAT_CONTRADICTS_RECORD', sentence, 'format');
  }
}

function withoutPadding(data: Uint8Array, format: MinutiaeStandard, notices: ArrivalNotices): Uint8Array {
  const padding = notices.find('PADDED');
  return padding === undefined ? data : CODECS[format].cut(data, padding.offset);
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

/**
 * One view of a multi-view record, as a valid record of its own: renumbered as the finger's first view, with minutiae
 * inside the image, and only extended data that conform to the standard.
 */
function singleView(record: FingerMinutiaeRecord, view: FingerView): FingerMinutiaeRecord {
  const frame = {
    ...record,
    imageWidth: Math.max(record.imageWidth, ...view.minutiae.map(({ x }) => x + 1)),
    imageHeight: Math.max(record.imageHeight, ...view.minutiae.map(({ y }) => y + 1)),
  };
  const extendedData = view.extendedData.filter((area) => isSound(area, view, frame));
  return { ...frame, views: [{ ...view, viewNumber: 0, extendedData }] };
}

function refusal(reason: string, message: string, field: string): Failure {
  return new Failure('invalid-argument', reason, message, { field });
}
