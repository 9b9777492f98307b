/** Valid contents of rows: no version of this program wrote a row with anything else. */
import { z } from 'zod';
import { HANDLING_CODES } from './records.ts';

const MAX_FINGER_POSITION = 10;
const MAX_QUALITY = 100;
/** Requests contain far shorter texts. */
const MAX_TEXT = 4096;

/** PostgreSQL has more values than JavaScript's dates: `infinity` is returned as a number. */
const time = z.date();
const text = z.string().min(1).max(MAX_TEXT);

const subjectSchema = z.object({
  version: z.string().regex(/^[1-9]\d{0,15}$/),
  contributor: text,
  external_id: z.string().max(MAX_TEXT).nullable(),
  galleries: z.array(text),
  caveats: z.array(z.string().max(MAX_TEXT)),
  provenance: z.enum(['unspecified', 'controlled', 'field', 'latent', 'synthetic']),
  expire_time: time.nullable(),
  review_time: time.nullable(),
  suspended: z.boolean(),
  minor_until: time.nullable(),
  handling_code: z.enum(HANDLING_CODES).nullable(),
  handling_instructions: z.string().max(MAX_TEXT).nullable(),
  handling_contact: z.string().max(MAX_TEXT).nullable(),
  create_time: time,
  update_time: time,
});

const common = {
  ordinal: z.int().nonnegative(),
  format: text,
  quality: z.int().min(0).max(MAX_QUALITY),
  minutia_count: z.int().nonnegative(),
  comparable: z.boolean(),
  capture_time: time.nullable(),
};

const referenceSchema = z.discriminatedUnion('modality', [
  z.object({
    ...common,
    modality: z.literal('finger'),
    finger_position: z.int().min(0).max(MAX_FINGER_POSITION),
    stored_format: z.enum(['iso-19794-2-2005', 'incits-378-2004']),
    model_id: z.null(),
    dimension: z.null(),
  }),
  z.object({
    ...common,
    modality: z.literal('face'),
    finger_position: z.literal(0),
    stored_format: z.literal('face-values-int8'),
    model_id: text,
    dimension: z.int().positive(),
  }),
]);

export function isPossibleSubject(row: unknown): boolean {
  return subjectSchema.safeParse(row).success;
}

export function isPossibleReference(row: unknown): boolean {
  return referenceSchema.safeParse(row).success;
}
