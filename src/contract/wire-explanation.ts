import type { ComparedMinutia, ExplainedComparison } from '../matching/model/explained-comparison.ts';
import {
  MinutiaType,
  type ComparedMinutia as WireMinutia,
  type FingerAlignment,
  type FingerExplanation,
} from './generated/ridgewatch/v1/explanation.ts';

const TYPES = [MinutiaType.UNSPECIFIED, MinutiaType.RIDGE_ENDING, MinutiaType.RIDGE_BIFURCATION] as const;

/** Converts an explanation to its wire form. */
export function toWireExplanation({ score, pairs, alignment, terms }: ExplainedComparison): FingerExplanation {
  return {
    score,
    pairs: pairs.map(({ probe, reference }) => ({ probe: toWireMinutia(probe), reference: toWireMinutia(reference) })),
    alignment: alignment && toWireAlignment(alignment),
    terms: terms.map((term) => ({ ...term })),
  };
}

function toWireMinutia(minutia: ComparedMinutia): WireMinutia {
  return { ...minutia, type: TYPES[minutia.type] };
}

function toWireAlignment([a, b, c, d, e, f]: NonNullable<ExplainedComparison['alignment']>): FingerAlignment {
  return { a, b, c, d, e, f };
}
