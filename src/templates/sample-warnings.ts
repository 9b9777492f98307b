/**
 * What can be odd about a sample that is read all the same, and what is refused of a sample that arrives though its
 * format allows it: nobody would ever be found by it, and nothing else would tell.
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
  COMPONENTS_ALIKE: 'All components are nearly the same: such embeddings are alike, whoever they are of',
  COMPONENTS_CONCENTRATED: 'A few components are all that the embedding consists of',
  COMPONENTS_UNSIGNED: 'Hardly a component is near zero, as if unsigned bytes had been sent as signed ones',
} as const;

/** Refused where a sample arrives. What is stored already is read as it always was. */
const REFUSALS = {
  IMAGE_TOO_SMALL: 'At this resolution the image is less than 0.7 cm long; the field counts pixels per centimetre',
  RESOLUTION_IMPLAUSIBLE:
    'At this resolution the minutiae lie closer than ridges do; the field counts pixels per centimetre',
  TOO_MANY_VIEWS: 'The record holds more than 16 views of one finger',
} as const;

export type WarningCode = keyof typeof WARNINGS;
export type ArrivalRefusal = keyof typeof REFUSALS;

/** Something odd about a sample that was read all the same. */
export interface SampleWarning {
  readonly code: WarningCode;
  /** Where in the sample's bytes it was seen first. */
  readonly offset: number;
  /** View in which it was seen first; 0 for what is of the whole record. */
  readonly viewIndex: number;
  /** A sentence without biometric data. */
  readonly message: string;
}

/** Told by codecs of what is odd about a sample. */
export type Notice = (code: WarningCode | ArrivalRefusal, offset: number, viewIndex?: number) => void;

/** For samples that are stored already: they were judged when they arrived. */
export const unnoticed: Notice = () => undefined;

/** Collects what a codec notices of a sample that arrives, each kind once: there are only so many. */
export class ArrivalNotices {
  readonly #warnings = new Map<WarningCode, SampleWarning>();

  /** @throws TemplateError for what is refused */
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
