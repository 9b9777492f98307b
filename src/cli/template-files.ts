import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { Modality, TemplateFormat, type Sample } from '../contract/generated/ridgewatch/v1/sample.ts';
import { Failure } from '../failure.ts';
import type { FaceTemplate } from '../templates/face-template.ts';
import type { FingerPosition, FingerTemplate } from '../templates/finger-template.ts';
import { decodeIncits378 } from '../templates/incits-378-2004.ts';
import { decodeIso197942 } from '../templates/iso-19794-2-2005.ts';
import { standardOf, type MinutiaeStandard } from '../templates/minutiae-standard.ts';
import { nameOfData } from '../templates/other-formats.ts';
import type { SampleWarning } from '../templates/sample-warnings.ts';
import { decodeSample, type EncodedSample, type SampleFormat } from '../templates/sample.ts';

export { groupFiles, groupPattern } from './template-folders.ts';

/** Facts that files do not contain. */
export interface FileOptions {
  /** Model of face embeddings. */
  readonly model: string | undefined;
  /** Finger position of records that do not state it. */
  readonly position: FingerPosition;
}

/** File name extensions of face embeddings. Every other file must start like a finger minutiae record. */
const FACE_FORMATS: Partial<Record<string, { readonly format: SampleFormat; readonly bytes: number }>> = {
  '.f32': { format: 'face-embedding-float32', bytes: 4 },
  '.i8': { format: 'face-embedding-int8', bytes: 1 },
};
const FINGER_MAGIC = 'FMR\0';

/**
 * Reads a template from a file. Faces are recognised by their extension (.f32, .i8), finger records by their content.
 * @throws Failure FILE_UNREADABLE, FILE_NOT_A_TEMPLATE, MODEL_REQUIRED
 */
export function readTemplateFile(file: string, options: FileOptions): EncodedSample {
  let data: Buffer;
  try {
    data = readFileSync(file);
  } catch {
    throw new Failure('invalid-argument', 'FILE_UNREADABLE', `The file ${file} cannot be read.`);
  }
  const face = FACE_FORMATS[extname(file).toLowerCase()];
  if (face !== undefined) return faceSample(file, data, face.format, face.bytes, options.model);
  if (data.subarray(0, 4).toString('latin1') !== FINGER_MAGIC) {
    const name = nameOfData(data);
    const instead = name === undefined ? '' : ` It is ${name}.`;
    const sentence = `The file ${file} is neither a finger minutiae record (it does not start with FMR) nor a face embedding (.f32 or .i8).${instead}`;
    throw new Failure('invalid-argument', 'FILE_NOT_A_TEMPLATE', sentence);
  }
  const format = fingerFormat(data);
  const position = knowsPosition(data, format) ? 0 : options.position;
  return { modality: 'finger', format, data, fingerPosition: position, quality: 0, modelId: '', dimension: 0 };
}

/**
 * The templates of a file's sample, one for each view.
 * @param warn - called for each warning
 * @throws Failure of the codec, which names the file
 */
export function decodeFile(
  file: string,
  sample: EncodedSample,
  warn: (warning: SampleWarning) => void = () => undefined,
): (FingerTemplate | FaceTemplate)[] {
  try {
    const views = decodeSample(sample);
    for (const { warnings } of views) warnings.forEach(warn);
    return views.map(({ template }) => template);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Failure(error.kind, error.reason, `${file}: ${error.message}`, error.detail);
  }
}

function faceSample(
  file: string,
  data: Buffer,
  format: SampleFormat,
  bytes: number,
  model: string | undefined,
): EncodedSample {
  if (model === undefined) {
    const sentence = `${file} is a face embedding: name the model that made it with --model.`;
    throw new Failure('invalid-argument', 'MODEL_REQUIRED', sentence);
  }
  const dimension = Math.floor(data.length / bytes);
  return { modality: 'face', format, data, fingerPosition: 0, quality: 0, modelId: model, dimension };
}

/**
 * ISO and INCITS records begin alike. If exactly one standard decodes the record, it is that one; else the header's.
 */
function fingerFormat(data: Uint8Array): MinutiaeStandard {
  const [isIso, isIncits] = [decodes(decodeIso197942, data), decodes(decodeIncits378, data)];
  if (isIso !== isIncits) return isIso ? 'iso-19794-2-2005' : 'incits-378-2004';
  return standardOf(data) ?? 'iso-19794-2-2005';
}

function decodes(decode: (data: Uint8Array) => unknown, data: Uint8Array): boolean {
  try {
    decode(data);
    return true;
  } catch {
    return false;
  }
}

function knowsPosition(data: Uint8Array, format: SampleFormat): boolean {
  const decode = format === 'incits-378-2004' ? decodeIncits378 : decodeIso197942;
  if (!decodes(decode, data)) return true;
  const { views } = decode(data);
  return views.length > 1 || views.some(({ position }) => position !== 0);
}

const WIRE_FORMATS: Record<SampleFormat, TemplateFormat> = {
  'iso-19794-2-2005': TemplateFormat.ISO_19794_2_2005,
  'incits-378-2004': TemplateFormat.INCITS_378_2004,
  'face-embedding-float32': TemplateFormat.FACE_EMBEDDING_FLOAT32,
  'face-embedding-int8': TemplateFormat.FACE_EMBEDDING_INT8,
};

/** The wire form of a sample. */
export function toWireSample({
  modality,
  format,
  data,
  fingerPosition,
  quality,
  modelId,
  dimension,
}: EncodedSample): Sample {
  return {
    modality: modality === 'finger' ? Modality.FINGER : Modality.FACE,
    format: WIRE_FORMATS[format],
    data: Buffer.from(data.buffer, data.byteOffset, data.byteLength),
    fingerPosition,
    quality,
    modelId,
    dimension,
    captureTime: undefined,
  };
}

/** Derives the request id from the content: a repeated run enrols no subject twice. */
export function requestIdOf(contributor: string, externalId: string, samples: readonly EncodedSample[]): string {
  const hash = createHash('sha256').update(JSON.stringify([contributor, externalId]));
  for (const { data, fingerPosition, modelId } of samples) hash.update(`|${fingerPosition}|${modelId}|`).update(data);
  return `cli-${hash.digest('hex').slice(0, 40)}`;
}
