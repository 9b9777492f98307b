import type { SegmentRange } from '../../gallery/partition.ts';
import type { FaceKind, PackedProbe } from '../kernels/packed-probe.ts';
import { instanceNameOf } from './candidate-list.ts';
import type { Probe } from './probe.ts';
import type { SearchView } from './search-view.ts';

/** One probe and one segment that it is compared with. */
export interface ScanPart extends SegmentRange {
  readonly packed: PackedProbe;
  /** Position of the probe in the search. */
  readonly number: number;
  /**
   * The biometric instance. Probes of one finger, or of the face, share an instance; each finger of unknown position is
   * an instance of its own.
   */
  readonly instance: number;
  /** References of the parts before. */
  readonly before: number;
}

/** The parts of a search, in order of the probes. Probes that cannot be compared have none. */
export function scanParts(probes: readonly Probe[], view: SearchView): ScanPart[] {
  const parts: ScanPart[] = [];
  const instances = new Map<string, number>();
  let before = 0;
  probes.forEach((probe, number) => {
    const { packed } = probe;
    if (packed === undefined) return;
    const ranges = view.rangesFor(probe);
    if (ranges.length === 0) return;
    const name = instanceNameOf(probe, 0, String(number));
    const instance = instances.get(name) ?? instances.size;
    instances.set(name, instance);
    for (const range of ranges) {
      parts.push({ ...range, packed, number, instance, before });
      before += range.end;
    }
  });
  return parts;
}

/** References of all parts, including removed ones. */
export function referencesOf(parts: readonly ScanPart[]): number {
  return parts.reduce((sum, { end }) => sum + end, 0);
}

/** Parts into which the share of a stopped scan is divided for a caller with masked subjects. */
const SHARE_STEPS = 100;

/**
 * Share of the references that a scan has read. It includes masked ones; where there are any, a stopped scan is stated in
 * hundredths: exact quotients would tell how many references there are.
 */
export function shareRead(read: number, all: number, { isMasked }: SearchView): number {
  const share = all === 0 ? 1 : read / all;
  return isMasked ? Math.floor(SHARE_STEPS * share) / SHARE_STEPS : share;
}

export function faceKindOf(packed: PackedProbe): FaceKind | undefined {
  return packed.modality === 'face' ? { modelId: packed.modelId, dimension: packed.dimension } : undefined;
}
