/** Wire form of hits. */
import type { Hit, HitDetails } from '../sharing/hit.ts';
import { Purpose } from './generated/ridgewatch/v1/identification.ts';
import { Band } from './generated/ridgewatch/v1/sample.ts';
import { HitKind, type Hit as WireHit } from './generated/ridgewatch/v1/sharing.ts';

const VERIFICATION = 'Identification/Verify';

export function toWireHit({ hitId, position, subjectId, details }: Hit): WireHit {
  const known: Partial<HitDetails> = details ?? {};
  return {
    hitId,
    position,
    subjectId,
    time: details?.time,
    searchingAgency: known.searchingAgency ?? '',
    checkpointId: known.checkpointId ?? '',
    purpose: valueOf(Purpose, known.purpose),
    band: valueOf(Band, known.band),
    rank: known.rank ?? 0,
    log10Fmr: known.log10Fmr ?? 0,
    silent: known.silent === true,
    kind: kindOf(known.method),
    requestId: known.requestId ?? '',
    detailsLost: details === undefined,
  };
}

function kindOf(method: string | undefined): HitKind {
  if (method === undefined) return HitKind.UNSPECIFIED;
  return method === VERIFICATION ? HitKind.VERIFICATION : HitKind.IDENTIFICATION;
}

/** @param name - e.g. `border-check` @returns 0: there is no such value */
function valueOf<T extends number>(enumeration: Readonly<Record<string, T | string>>, name = ''): T | 0 {
  const value = enumeration[name.toUpperCase().replaceAll('-', '_')];
  return typeof value === 'number' ? value : 0;
}
