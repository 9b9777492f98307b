/** Wire form of the histories of subjects. */
import type { HistoryEntry } from '../store/subject-histories.ts';
import { HistoryState, type HistoryEntry as WireEntry } from './generated/ridgewatch/v1/gallery.ts';

const STATES: Readonly<Record<HistoryEntry['state'], HistoryState>> = {
  known: HistoryState.KNOWN,
  unknown: HistoryState.UNKNOWN,
  damaged: HistoryState.DAMAGED,
};

export function toWireEntry({ seq, version, at, reason, state, author, content }: HistoryEntry): WireEntry {
  return {
    galleryVersion: seq,
    version,
    time: at,
    state: STATES[state],
    clientId: author?.clientId ?? '',
    agency: author?.agency ?? '',
    fields: [...(content?.fields ?? [])],
    removedReferences: (content?.removed ?? []).map(toWireReference),
    addedReferences: (content?.added ?? []).map(toWireReference),
    reason: reason ?? '',
  };
}

function toWireReference({ reference_id, digest }: { readonly reference_id: string; readonly digest: string }) {
  return { referenceId: reference_id, digest };
}
