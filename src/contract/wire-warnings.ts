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

/** What a subject's data say about when it is searched. */
interface SearchedUntil {
  readonly expireTime?: Date | undefined;
  readonly reviewTime?: Date | undefined;
}

/**
 * Warnings about a subject's data. An expired subject is accepted, and so is one whose review is overdue; without a
 * warning the caller would not learn that searches never return it.
 */
export function dataWarnings({ expireTime, reviewTime }: SearchedUntil): WireSampleWarning[] {
  const isPast = (time: Date | undefined) => time !== undefined && time.getTime() <= Date.now();
  const warnings: WireSampleWarning[] = [];
  const warn = (code: string, field: string, what: string) =>
    warnings.push({
      ...{ sampleIndex: 0, viewIndex: 0, code, byteOffset: 0, field },
      message: `The ${what} is in the past: the subject is stored, but no search returns it.`,
    });
  if (isPast(expireTime)) warn('EXPIRED_ALREADY', 'data.expire_time', 'expire time');
  if (isPast(reviewTime)) warn('REVIEW_OVERDUE', 'data.review_time', 'review time');
  return warnings;
}

/** The distinct codes, sorted. */
export function warningCodes(warnings: readonly { readonly code: string }[]): string[] {
  return [...new Set(warnings.map(({ code }) => code))].sort();
}

/** Facts for the report of a call; empty without warnings. */
export function warningFacts(warnings: readonly { readonly code: string }[]): { readonly warnings?: string } {
  return warnings.length === 0 ? {} : { warnings: warningCodes(warnings).join(' ') };
}
