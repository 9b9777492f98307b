/** Rows of subjects and references in the database. */
import type { FingerPosition } from '../templates/finger-template.ts';
import type { StoredFormat } from '../templates/sample.ts';
import type { Handling, Provenance } from './records.ts';
import type { MacColumns } from './row-macs.ts';

export interface SubjectRow extends MacColumns {
  readonly subject_id: string;
  readonly version: string;
  readonly contributor: string;
  readonly external_id: string | null;
  readonly galleries: string[];
  readonly caveats: string[];
  readonly provenance: Provenance;
  readonly expire_time: Date | null;
  readonly review_time: Date | null;
  readonly suspended: boolean;
  readonly minor_until: Date | null;
  readonly handling_code: Handling['code'] | null;
  readonly handling_instructions: string | null;
  readonly handling_contact: string | null;
  readonly create_time: Date;
  readonly update_time: Date;
}

export interface ReferenceRow {
  readonly reference_id: string;
  readonly subject_id: string;
  readonly ordinal: number;
  readonly modality: 'finger' | 'face';
  readonly finger_position: FingerPosition;
  readonly format: string;
  readonly stored_format: StoredFormat;
  readonly quality: number;
  readonly model_id: string | null;
  readonly dimension: number | null;
  readonly minutia_count: number;
  readonly comparable: boolean;
  readonly capture_time: Date | null;
  readonly key_id: string | null;
  readonly template: Buffer;
}

export const SUBJECT_FACTS = `s.subject_id, s.version, s.contributor, s.external_id, s.caveats, s.provenance, s.expire_time,
  s.review_time, s.suspended, s.minor_until, s.handling_code, s.handling_instructions, s.handling_contact, s.create_time, s.update_time, s.mac, s.mac_key_id`;

/** All columns but the template, which may be stored elsewhere and damaged alone. */
export const REFERENCE_FACTS = `reference_id, subject_id, ordinal, modality, finger_position, format, stored_format, quality,
  model_id, dimension, minutia_count, comparable, capture_time, key_id`;
