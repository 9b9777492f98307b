import { layoutSegment, PAGE_BYTES } from '../../gallery/segment-layout.ts';
import type { FaceTemplate } from '../../templates/face-template.ts';
import type { FingerTemplate } from '../../templates/finger-template.ts';
import type { ExplainedComparison } from '../model/explained-comparison.ts';
import { FingerEncoder } from '../kernels/finger-encoder.ts';
import type { KernelBuild } from '../kernels/kernel-builds.ts';
import { FINGER_PACKED_MAX_BYTES } from '../kernels/kernels.ts';
import type { FaceKind, PackedProbe } from '../kernels/packed-probe.ts';
import { packFace } from '../kernels/packed-probe.ts';
import { SHIPPED_CALIBRATIONS } from '../rates/calibrations.ts';
import { SEGMENT_SCRATCH_BYTES, SegmentReader } from './segment-reader.ts';

const MAX_RECORD = Math.max(FINGER_PACKED_MAX_BYTES, 2048);
const ONLY = Uint32Array.of(0);

/**
 * Compares templates that are in no gallery, with the kernels and layout of searches: a segment of one reference. Runs
 * in the calling thread.
 */
export class DirectComparer {
  readonly #encoder: FingerEncoder;
  readonly #memory: WebAssembly.Memory;
  readonly #reader: SegmentReader;
  readonly #directoryAddress: number;
  readonly #recordAddress: number;

  /** @param build - the kernel build; by default the fastest that runs here */
  constructor(build?: KernelBuild) {
    this.#encoder = new FingerEncoder(undefined, build);
    const layout = layoutSegment(1, SEGMENT_SCRATCH_BYTES);
    const pages = Math.ceil((layout.recordsAddress + MAX_RECORD) / PAGE_BYTES);
    this.#memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.#reader = new SegmentReader({ id: 0, memory: this.#memory, layout }, SHIPPED_CALIBRATIONS, build);
    this.#directoryAddress = layout.directoryAddress;
    this.#recordAddress = layout.recordsAddress;
  }

  /** A template encoded for the kernels; undefined when it has too few minutiae. */
  pack(template: FingerTemplate | FaceTemplate): PackedProbe | undefined {
    if (template.modality === 'face') {
      const { modelId, dimension } = template;
      return { modality: 'face', packed: packFace(template), modelId, dimension };
    }
    const packed = this.#encoder.encode(template);
    return packed && { modality: 'finger', packed };
  }

  /** @returns the comparison score; undefined when the two are of different kinds */
  comparePacked(probe: PackedProbe, reference: PackedProbe): number | undefined {
    if (probe.modality === 'finger' ? reference.modality !== 'finger' : !isFaceOf(reference, probe)) {
      return undefined;
    }
    this.#loadReference(reference.packed);
    return this.#reader.compare(probe, ONLY).scores[0];
  }

  /** Explains the score of two packed fingers. */
  explainPacked(probe: Uint8Array, reference: Uint8Array): ExplainedComparison | undefined {
    this.#loadReference(reference);
    return this.#reader.explain(probe, 0);
  }

  #loadReference(packed: Uint8Array): void {
    new Uint8Array(this.#memory.buffer, this.#recordAddress, packed.byteLength).set(packed);
    new Uint32Array(this.#memory.buffer, this.#directoryAddress, 1)[0] = this.#recordAddress / 16;
  }

  /**
   * @returns the comparison score; undefined when the two cannot be compared: different modalities, models or
   * dimensions, or too few minutiae
   */
  compare(probe: FingerTemplate | FaceTemplate, reference: FingerTemplate | FaceTemplate): number | undefined {
    const packedProbe = this.pack(probe);
    const packedReference = this.pack(reference);
    return packedProbe && packedReference && this.comparePacked(packedProbe, packedReference);
  }
}

function isFaceOf(packed: PackedProbe, { modelId, dimension }: FaceKind): boolean {
  return packed.modality === 'face' && packed.modelId === modelId && packed.dimension === dimension;
}
