import type { ReferenceLocation, SubjectEntry } from '../../gallery/catalogue.ts';
import type { FaceTemplate } from '../../templates/face-template.ts';
import type { FingerTemplate } from '../../templates/finger-template.ts';
import type { Calibrations } from '../rates/calibrations.ts';
import type { PackedProbe } from '../kernels/packed-probe.ts';
import { faceProbe, type Probe } from './probe.ts';

/**
 * A subject's searchable references as probes. Their bytes are copies: a probe outlives its reference.
 * @returns one for each reference, in their order; references that were removed are left out
 */
export function enrolledProbes({ references }: SubjectEntry, calibrations: Calibrations): Probe[] {
  return references.flatMap((reference, sampleIndex) => {
    const { segment, index } = reference;
    if (!segment.isLive(index)) return [];
    const packed = segment.packed(index);
    const template = templateOf(reference, packed);
    const calibration = calibrations.of(template);
    const probe: PackedProbe = template.modality === 'face' ? faceProbe(template) : { modality: 'finger', packed };
    return [{ sampleIndex, viewIndex: 0, template, packed: probe, calibration }];
  });
}

/** What a search needs of a template beside its packed form: which references it is compared with, and the rates. */
function templateOf({ partition }: ReferenceLocation, packed: Uint8Array): FingerTemplate | FaceTemplate {
  const quality = 0;
  if (partition.modality === 'finger')
    return { modality: 'finger', position: partition.position, quality, minutiae: [] };
  const { modelId, dimension } = partition;
  const values = new Int8Array(packed.buffer, packed.byteOffset, dimension);
  return { modality: 'face', modelId, dimension, quality, values };
}
