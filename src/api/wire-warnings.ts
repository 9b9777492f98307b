/** What is odd about samples, in the contract's form. */
import type { SampleWarning } from '../templates/sample-warnings.ts';
import type { SampleWarning as WireSampleWarning } from './generated/ridgewatch/v1/sample.ts';

/** A view of a sample, as far as it is warned of. */
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
 * What is odd about a subject's data. An expired subject is stored like any other, and no caller would ever be told that
 * no search looks there.
 */
export function dataWarnings({ expireTime }: { readonly expireTime?: Date | undefined }): WireSampleWarning[] {
  if (expireTime === undefined || expireTime.getTime() > Date.now()) return [];
  const message = 'The expire time lies in the past: the subject is stored, and no search finds it.';
  const code = 'EXPIRED_ALREADY';
  return [{ sampleIndex: 0, viewIndex: 0, code, byteOffset: 0, message, field: 'data.expire_time' }];
}

/** The codes, each once, in order. */
export function warningCodes(warnings: readonly { readonly code: string }[]): string[] {
  return [...new Set(warnings.map(({ code }) => code))].sort();
}

/** What a call's report says of them: nothing where there are none. */
export function warningFacts(warnings: readonly { readonly code: string }[]): { readonly warnings?: string } {
  return warnings.length === 0 ? {} : { warnings: warningCodes(warnings).join(' ') };
}
