import type { PartitionName } from '../../gallery/catalogue.ts';
import type { FaceTemplate } from '../../templates/face-template.ts';
import { MAX_MINUTIAE, type FingerPosition, type FingerTemplate } from '../../templates/finger-template.ts';
import type { Calibration } from '../rates/calibration.ts';
import type { SampleWarning } from '../../templates/sample-warnings.ts';
import { packFace, type PackedProbe } from '../kernels/packed-probe.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';

/** A template and its position in the request. */
export interface SampleTemplate {
  /** Position of the sample in the request. */
  readonly sampleIndex: number;
  /** Position of the view within the sample's record. */
  readonly viewIndex: number;
  readonly template: FingerTemplate | FaceTemplate;
  /** Warnings about the view's quality. */
  readonly warnings?: readonly SampleWarning[];
}

/** A sample ready for comparison. `packed` is undefined when it has too few minutiae. */
export interface Probe extends SampleTemplate {
  readonly packed: PackedProbe | undefined;
  readonly calibration: Calibration;
}

/** Encodes samples for the kernels, in the order given. */
export async function prepareProbes(pool: WorkerPool, samples: readonly SampleTemplate[]): Promise<Probe[]> {
  const fingers = samples.flatMap(({ template }) => (template.modality === 'finger' ? [template] : []));
  const packedFingers = await pool.encode(fingers);
  let nextFinger = 0;
  return samples.map((sample) => {
    const { template } = sample;
    const calibration = pool.calibrations.of(template);
    if (template.modality === 'face') return { ...sample, packed: faceProbe(template), calibration };
    const packed = packedFingers[nextFinger++];
    return { ...sample, packed: packed && { modality: 'finger', packed }, calibration };
  });
}

/** Encodes templates for the kernels, in the order given; undefined where one has too few minutiae. */
export async function packTemplates(
  pool: WorkerPool,
  templates: readonly (FingerTemplate | FaceTemplate)[],
): Promise<(Uint8Array | undefined)[]> {
  const probes = await prepareProbes(
    pool,
    templates.map((template) => ({ sampleIndex: 0, viewIndex: 0, template })),
  );
  return probes.map(({ packed }) => packed?.packed);
}

/** A face encoded for the kernels. */
export function faceProbe(template: FaceTemplate): PackedProbe {
  const { modelId, dimension } = template;
  return { modality: 'face', packed: packFace(template), modelId, dimension };
}

/** Number of minutiae that a comparison uses; 0 for a face. */
export function minutiaCountOf(template: FingerTemplate | FaceTemplate): number {
  return template.modality === 'finger' ? Math.min(MAX_MINUTIAE, template.minutiae.length) : 0;
}

const EVERY_POSITION: readonly FingerPosition[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

/**
 * The partitions that a probe is compared with. A finger of known position: that position and references of unknown
 * position. A finger of unknown position: every finger. A face: the references of its own model.
 */
export function partitionsFor(template: FingerTemplate | FaceTemplate): PartitionName[] {
  if (template.modality === 'face')
    return [{ modality: 'face', modelId: template.modelId, dimension: template.dimension }];
  const positions: readonly FingerPosition[] = template.position === 0 ? EVERY_POSITION : [template.position, 0];
  return positions.map((position) => ({ modality: 'finger', position }));
}
