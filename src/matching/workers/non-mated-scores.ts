import { setImmediate } from 'node:timers/promises';
import { Segment } from '../../gallery/segment.ts';
import type { FaceTemplate } from '../../templates/face-template.ts';
import type { FingerTemplate } from '../../templates/finger-template.ts';
import { SHIPPED_CALIBRATIONS } from '../rates/calibrations.ts';
import { DirectComparer } from './direct-comparison.ts';
import { REMOVED_SCORE } from '../kernels/kernels.ts';
import { SEGMENT_SCRATCH_BYTES, SegmentReader } from './segment-reader.ts';

/** A template and the person it belongs to. */
export interface LabelledTemplate {
  readonly person: string;
  readonly template: FingerTemplate | FaceTemplate;
}

/**
 * Makes all non-mated comparisons: every template with every later template of another person. All templates are of one
 * kind.
 * @param unit - scores are divided by it and rounded down
 * @param onCompared - called after each template
 * @returns how often each score occurred
 */
export async function compareNonMated(
  templates: readonly LabelledTemplate[],
  unit: number,
  onCompared: () => void,
): Promise<Map<number, number>> {
  const packer = new DirectComparer();
  const people: string[] = [];
  const packed = templates.flatMap(({ person, template }) => {
    const one = packer.pack(template);
    if (one !== undefined) people.push(person);
    return one ?? [];
  });
  const counts = new Map<number, number>();
  const largest = Math.max(16, ...packed.map((one) => one.packed.byteLength));
  const segment = new Segment(Math.max(1, packed.length), largest, { scratchBytes: SEGMENT_SCRATCH_BYTES });
  for (const one of packed) segment.append(one.packed, 0);
  const reader = new SegmentReader(segment.handle, SHIPPED_CALIBRATIONS);
  for (const [i, probe] of packed.entries()) {
    const others = Uint32Array.from(packed.keys()).filter((j) => j > i && people[j] !== people[i]);
    for (const score of reader.compare(probe, others).scores) {
      if (score === REMOVED_SCORE) continue;
      const entry = Math.floor(score / unit);
      counts.set(entry, (counts.get(entry) ?? 0) + 1);
    }
    onCompared();
    // Lets the progress bar draw and Ctrl-C take effect.
    await setImmediate();
  }
  return counts;
}
