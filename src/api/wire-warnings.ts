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
    })),
  );
}

/** The codes, each once, in order. */
export function warningCodes(warnings: readonly { readonly code: string }[]): string[] {
  return [...new Set(warnings.map(({ code }) => code))].sort();
}

/** What a call's report says of them: nothing where there are none. */
export function warningFacts(warnings: readonly { readonly code: string }[]): { readonly warnings?: string } {
  return warnings.length === 0 ? {} : { warnings: warningCodes(warnings).join(' ') };
}
