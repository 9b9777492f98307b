import type { FingerPosition, MinutiaType } from './finger-template.ts';

/** A minutia in the units of its record. */
export interface RecordMinutia {
  readonly type: MinutiaType;
  /** Pixels from the left edge, 0 to imageWidth − 1; imageWidth where a device counts from 1. */
  readonly x: number;
  /** Pixels from the upper edge, downwards, 0 to imageHeight − 1; imageHeight where a device counts from 1. */
  readonly y: number;
  /** Counter-clockwise from the x axis, in units of 1 / angleUnitsPerTurn of a turn. */
  readonly angle: number;
  /** 1 to 100; 0: not reported. */
  readonly quality: number;
}

/** An extended data area: stored, not compared. */
export interface ExtendedData {
  /** Type code; ISO/IEC 19794-2:2005 Table 6. */
  readonly type: number;
  readonly data: Uint8Array;
}

/** One capture of one finger. */
export interface FingerView {
  readonly position: FingerPosition;
  /** 0 to 15. */
  readonly viewNumber: number;
  /** ISO/IEC 19794-2:2005 Table 3: 0 live plain, 1 live rolled, 2 non-live plain, 3 non-live rolled, 8 swipe, 9 contactless. */
  readonly impressionType: number;
  /** 0 to 100; 0: not stated. */
  readonly quality: number;
  /** At most 255. */
  readonly minutiae: readonly RecordMinutia[];
  readonly extendedData: readonly ExtendedData[];
}

/** The common content of ISO/IEC 19794-2:2005 and ANSI/INCITS 378-2004 records. */
export interface FingerMinutiaeRecord {
  /** INCITS only: vendor and product of the software. Zero: not stated. */
  readonly productIdentifier?: number;
  /** Certification in the upper four bits, device id in the lower twelve. */
  readonly captureEquipment: number;
  /** Pixels, 1 to 16383 (a minutia's coordinate has 14 bits). */
  readonly imageWidth: number;
  readonly imageHeight: number;
  /** Pixels per centimetre, at least 1. 197 is 500 dpi. */
  readonly xResolution: number;
  readonly yResolution: number;
  /** 256 for ISO (1.40625° each), 180 for INCITS (2° each). */
  readonly angleUnitsPerTurn: 256 | 180;
  /** 1 to 255. */
  readonly views: readonly FingerView[];
}
