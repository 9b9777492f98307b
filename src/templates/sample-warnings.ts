/**
 * Warnings about samples that are accepted, and rejections of arriving samples that their format allows. A subject
 * enrolled with a rejected sample could never be found, and nothing else would show it.
 */
import { TemplateError } from './template-error.ts';

/** Sentences by code; docs/errors.md lists the codes. */
const WARNINGS = {
  COUNTED_FROM_ONE: 'A minutia lies one pixel outside of the image, as if pixels were counted from 1',
  QUALITY_NOT_STATED: 'The finger quality is 254 or 255, and is taken as not stated',
  PADDED: 'Zeros follow after the end of the record; they are left out',
  EXTENDED_DATA_INVALID: 'Extended data are not what the standard says; they are not used to compare',
  EXTENDED_DATA_TYPE_RESERVED: 'An extended data area is of a type that the standard reserves',
  VIEW_NUMBER_INVALID: 'The view numbers of a finger do not begin with 0 and rise',
  VIEW_REPEATED: 'A view repeats the number or the minutiae of another one of the same finger',
  RESOLUTION_UNLIKELY: 'The resolution is not one of 250 to 1,000 dpi; the field counts pixels per centimetre',
  ANGLES_ALIKE: 'All minutiae of a view have the same angle',
  COMPONENTS_ALIKE: 'All components are nearly equal: such embeddings resemble each other, of any person',
  COMPONENTS_CONCENTRATED: 'A few components are all that the embedding consists of',
  COMPONENTS_UNSIGNED: 'Hardly a component is near zero, as if unsigned bytes had been sent as signed ones',
} as const;

/** Applies to arriving samples only. Stored samples are read as before. */
const REFUSALS = {
  IMAGE_TOO_SMALL: 'At this resolution the image is less than 0.7 cm long; the field counts pixels per centimetre',
  RESOLUTION_IMPLAUSIBLE:
    'At this resolution the minutiae lie closer than ridges do; the field counts pixels per centimetre',
  TOO_MANY_VIEWS: 'The record holds more than 16 views of one finger',
} as const;

export type WarningCode = keyof typeof WARNINGS;
export type ArrivalRefusal = keyof typeof REFUSALS;

/** An oddity of an accepted sample. */
export interface SampleWarning {
  readonly code: WarningCode;
  /** Byte offset of its first occurrence. */
  readonly offset: number;
  /** View of its first occurrence; 0 for the whole record. */
  readonly viewIndex: number;
  /** A sentence without biometric data. */
  readonly message: string;
}

/** Called by codecs for each oddity of a sample. */
export type Notice = (code: WarningCode | ArrivalRefusal, offset: number, viewIndex?: number) => void;

/** For stored samples: they were checked on arrival. */
export const unnoticed: Notice = () => undefined;

/** Collects a codec's notices about an arriving sample, each kind once: this bounds their number. */
export class ArrivalNotices {
  readonly #warnings = new Map<WarningCode, SampleWarning>();

  /** @throws TemplateError for notices that reject the sample */
  readonly notice: Notice = (code, offset, viewIndex = 0) => {
    if (isRefusal(code)) throw new TemplateError(code, offset, REFUSALS[code]);
    if (!this.#warnings.has(code)) this.#warnings.set(code, { code, offset, viewIndex, message: WARNINGS[code] });
  };

  get warnings(): readonly SampleWarning[] {
    return [...this.#warnings.values()];
  }

  find(code: WarningCode): SampleWarning | undefined {
    return this.#warnings.get(code);
  }
}

function isRefusal(code: WarningCode | ArrivalRefusal): code is ArrivalRefusal {
  return code in REFUSALS;
}
