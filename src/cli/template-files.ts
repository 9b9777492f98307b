import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { Modality, TemplateFormat, type Sample } from '../api/generated/ridgewatch/v1/sample.ts';
import { Failure } from '../failure.ts';
import type { FaceTemplate } from '../templates/face-template.ts';
import type { FingerPosition, FingerTemplate } from '../templates/finger-template.ts';
import { decodeIncits378 } from '../templates/incits-378-2004.ts';
import { decodeIso197942 } from '../templates/iso-19794-2-2005.ts';
import { decodeSample, type EncodedSample, type SampleFormat } from '../templates/sample.ts';

/** What files do not say themselves. */
export interface FileOptions {
  /** Model of face embeddings. */
  readonly model: string | undefined;
  /** Finger position of records that do not know it. */
  readonly position: FingerPosition;
}

/** Endings of face embeddings; everything else must start like a finger minutiae record. */
const FACE_FORMATS: Partial<Record<string, { readonly format: SampleFormat; readonly bytes: number }>> = {
  '.f32': { format: 'face-embedding-float32', bytes: 4 },
  '.i8': { format: 'face-embedding-int8', bytes: 1 },
};
const FINGER_MAGIC = 'FMR\0';
const ENDINGS = new Set(['.iso', '.fmr', '.ist', '.ansi', '.f32', '.i8']);

/**
 * Reads a template from a file. Faces are known by their ending (.f32, .i8); finger records by their content.
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
    const sentence = `The file ${file} is neither a finger minutiae record (it does not start with FMR) nor a face embedding (.f32 or .i8).`;
    throw new Failure('invalid-argument', 'FILE_NOT_A_TEMPLATE', sentence);
  }
  const format = fingerFormat(data);
  const position = knowsPosition(data, format) ? 0 : options.position;
  return { modality: 'finger', format, data, fingerPosition: position, quality: 0, modelId: '', dimension: 0 };
}

/**
 * The templates of a file's sample, one for each view.
 * @throws Failure of the codec, which names the file
 */
export function decodeFile(file: string, sample: EncodedSample): (FingerTemplate | FaceTemplate)[] {
  try {
    return decodeSample(sample).map(({ template }) => template);
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
    const sentence = `${file} is a face embedding: say which model made it with --model.`;
    throw new Failure('invalid-argument', 'MODEL_REQUIRED', sentence);
  }
  const dimension = Math.floor(data.length / bytes);
  return { modality: 'face', format, data, fingerPosition: 0, quality: 0, modelId: model, dimension };
}

/** ISO and INCITS records start alike: what can be read as INCITS but not as ISO is INCITS. */
function fingerFormat(data: Uint8Array): SampleFormat {
  return !decodes(decodeIso197942, data) && decodes(decodeIncits378, data) ? 'incits-378-2004' : 'iso-19794-2-2005';
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

/** The files of one subject. */
export interface SubjectFiles {
  readonly externalId: string;
  readonly files: readonly string[];
}

/**
 * Groups the templates of a folder by subject: those in a sub-folder belong together, and those directly in it are one
 * subject each, unless `groupBy` finds a common first group in their names.
 * @throws Failure FOLDER_UNREADABLE, NO_TEMPLATES, GROUP_INVALID
 */
export function groupFiles(folder: string, groupBy?: RegExp): SubjectFiles[] {
  const groups = new Map<string, string[]>();
  const add = (externalId: string, file: string) => groups.set(externalId, [...(groups.get(externalId) ?? []), file]);
  for (const name of list(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) {
      for (const inner of list(path).filter(isTemplate)) add(name, join(path, inner));
    } else if (isTemplate(name)) {
      add(groupOf(name, groupBy), path);
    }
  }
  if (groups.size === 0) {
    const sentence = `There are no templates (${[...ENDINGS].join(', ')}) in ${folder}.`;
    throw new Failure('invalid-argument', 'NO_TEMPLATES', sentence);
  }
  return [...groups].map(([externalId, files]) => ({ externalId, files }));
}

/** @throws Failure GROUP_INVALID */
export function groupPattern(source: string | undefined): RegExp | undefined {
  try {
    return source === undefined ? undefined : new RegExp(source);
  } catch {
    throw new Failure('invalid-argument', 'GROUP_INVALID', '--group-by is not a regular expression.');
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    throw new Failure('invalid-argument', 'FOLDER_UNREADABLE', `The folder ${folder} cannot be read.`);
  }
}

function isTemplate(name: string): boolean {
  return ENDINGS.has(extname(name).toLowerCase());
}

function groupOf(name: string, groupBy: RegExp | undefined): string {
  if (groupBy === undefined) return basename(name, extname(name));
  const group = groupBy.exec(name)?.[1];
  if (group !== undefined) return group;
  throw new Failure('invalid-argument', 'GROUP_INVALID', `--group-by has no first group for ${name}.`);
}

/** Names an enrolment by its content, so that a repeated run enrols nobody twice. */
export function requestIdOf(contributor: string, externalId: string, samples: readonly EncodedSample[]): string {
  const hash = createHash('sha256').update(JSON.stringify([contributor, externalId]));
  for (const { data, fingerPosition, modelId } of samples) hash.update(`|${fingerPosition}|${modelId}|`).update(data);
  return `cli-${hash.digest('hex').slice(0, 40)}`;
}
