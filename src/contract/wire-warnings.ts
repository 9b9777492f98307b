/** Conversion of warnings to their wire form. */
import type { SampleWarning } from '../templates/sample-warnings.ts';
import type { SampleWarning as WireSampleWarning } from './generated/ridgewatch/v1/sample.ts';

/** The part of a decoded view that warnings need. */
export interface WarnedView {
  readonly sampleIndex: number;
  readonly warnings?: readonly SampleWarning[];
}

export function toWireWarnings(views: readonly WarnedView[]): WireSampleWarning[] {
  return views.flatMap(({ sampleIndex, warnings = [] }) =>
    warnings.map(({ code, viewIndex, offset, message }) => ({
      sampleIndex,
      viewIndex,
      code,
      byteOffset: offset,
      message: `${message}.`,
      field: '',
    })),
  );
}

/**
 * Warnings about a subject's data. An expired subject is accepted, and without a warning the caller would not learn
 * that searches never return it.
 */
export function dataWarnings({ expireTime }: { readonly expireTime?: Date | undefined }): WireSampleWarning[] {
  if (expireTime === undefined || expireTime.getTime() > Date.now()) return [];
  const message = 'The expire time is in the past: the subject is stored, but no search returns it.';
  const code = 'EXPIRED_ALREADY';
  return [{ sampleIndex: 0, viewIndex: 0, code, byteOffset: 0, message, field: 'data.expire_time' }];
}

/** The distinct codes, sorted. */
export function warningCodes(warnings: readonly { readonly code: string }[]): string[] {
  return [...new Set(warnings.map(({ code }) => code))].sort();
}

/** Facts for the report of a call; empty without warnings. */
export function warningFacts(warnings: readonly { readonly code: string }[]): { readonly warnings?: string } {
  return warnings.length === 0 ? {} : { warnings: warningCodes(warnings).join(' ') };
}
