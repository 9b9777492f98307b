import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { Failure } from '../../failure.ts';
import type { CalibrationTable } from './calibration.ts';
import type { OwnTables } from './calibrations.ts';
import { tableVersion, type CalibrationContent } from './calibration-table.ts';
import { kernelHash } from '../kernels/kernels.ts';
import type { FaceKind } from '../kernels/packed-probe.ts';

const table = {
  /** Version of the file format. */
  format: z.literal('ridgewatch-calibration-1'),
  /** Digest of the table itself. */
  version: z.string(),
  sources: z.array(z.string()).min(1),
  scores: z.array(z.number().int()).min(2),
  milliLog10Fmr: z.array(z.number().int().max(0)).min(2),
  measuredTo: z.number().int(),
  milliLog10PerStep: z.number().negative(),
};
const ascending = (values: readonly number[]) => values.every((value, i) => i === 0 || value > values[i - 1]);

const CALIBRATION_FILE = z
  .discriminatedUnion('modality', [
    z.strictObject({ modality: z.literal('finger'), kernel: z.string(), ...table }),
    z.strictObject({ modality: z.literal('face'), model: z.string(), dimension: z.number().int(), ...table }),
  ])
  .refine(({ scores, milliLog10Fmr }) => scores.length === milliLog10Fmr.length, 'has not one rate for each score')
  .refine(({ scores }) => ascending(scores), 'has scores that do not rise')
  .refine(({ milliLog10Fmr }) => ascending([...milliLog10Fmr].reverse()), 'has rates that do not fall')
  .refine((file) => tableVersion(file) === file.version, 'was changed after it was made');

/** An operator's own table, as `ridgewatch calibrate` writes it. */
export type CalibrationFile = z.output<typeof CALIBRATION_FILE>;

/** The modality, and for faces the model, that a table applies to. */
export type CalibrationSubject =
  { readonly modality: 'finger' } | { readonly modality: 'face'; readonly model: string; readonly dimension: number };

/** The text of a calibration file. */
export function calibrationFile(subject: CalibrationSubject, content: CalibrationContent): string {
  const of = subject.modality === 'finger' ? { ...subject, kernel: kernelHash() } : subject;
  return `${JSON.stringify({ format: 'ridgewatch-calibration-1', ...of, ...content }, undefined, 2)}\n`;
}

/**
 * Reads an operator's tables.
 * @param faceModels - the configured face models
 * @throws Failure CALIBRATION_UNREADABLE, CALIBRATION_INVALID, CALIBRATION_OUTDATED, CALIBRATION_OF_NO_MODEL,
 * CALIBRATION_REPEATED: a sentence that names the file and states the remedy
 */
export function readCalibrations(files: readonly string[], faceModels: readonly FaceKind[]): OwnTables {
  let finger: CalibrationTable | undefined;
  const faces = new Map<string, { dimension: number; table: CalibrationTable }>();
  for (const file of files) {
    const read = readOne(file);
    const isSecond = read.modality === 'finger' ? finger !== undefined : faces.has(read.model);
    if (isSecond) {
      throw new Failure(
        'failed-precondition',
        'CALIBRATION_REPEATED',
        `${file} is a second calibration for the same modality or model.`,
      );
    }
    if (read.modality === 'finger') {
      if (read.kernel !== kernelHash()) {
        const sentence = `${file} was made with other kernels: make it again with "ridgewatch calibrate finger".`;
        throw new Failure('failed-precondition', 'CALIBRATION_OUTDATED', sentence);
      }
      finger = read;
    } else {
      const { model, dimension } = read;
      if (!faceModels.some((known) => known.modelId === model && known.dimension === dimension)) {
        const sentence = `${file} is for the face model ${model}:${dimension}, which is not in RIDGEWATCH_FACE_MODELS.`;
        throw new Failure('failed-precondition', 'CALIBRATION_OF_NO_MODEL', sentence);
      }
      faces.set(model, { dimension, table: read });
    }
  }
  return { finger, faces };
}

function readOne(file: string): CalibrationFile {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    const sentence = `The calibration file ${file} cannot be read, or is not JSON.`;
    throw new Failure('failed-precondition', 'CALIBRATION_UNREADABLE', sentence);
  }
  const result = CALIBRATION_FILE.safeParse(content);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue.path.length === 0 ? '' : ` (${issue.path.join('.')})`;
  const sentence = `${file} is not a calibration file of this program: ${issue.message}${where}. Make one with "ridgewatch calibrate".`;
  throw new Failure('failed-precondition', 'CALIBRATION_INVALID', sentence);
}
