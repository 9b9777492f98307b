/** Checks that hold for every sample: it is refused with a reason, or its live and stored templates are equal. */
import { isDeepStrictEqual } from 'node:util';
import { Failure } from '../../src/failure.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { ReferenceEncoder } from '../../src/matching/kernels/reference-encoder.ts';
import type { FaceTemplate } from '../../src/templates/face-template.ts';
import type { FingerTemplate } from '../../src/templates/finger-template.ts';
import {
  decodeSample,
  decodeStored,
  type DecodedSample,
  type EncodedSample,
  type StoredFormat,
} from '../../src/templates/sample.ts';

export interface Outcome {
  /** Reason of the refusal; undefined: accepted. */
  readonly refused: string | undefined;
  readonly warnings: readonly string[];
  /** A violated check; undefined: none. */
  readonly fault: string | undefined;
}

const SAMPLE_FORMATS: Readonly<Record<StoredFormat, EncodedSample['format']>> = {
  'iso-19794-2-2005': 'iso-19794-2-2005',
  'incits-378-2004': 'incits-378-2004',
  'face-values-int8': 'face-embedding-int8',
};

/** Tries samples. Packing takes longer than all other steps: it is done on request. */
export class Trial {
  readonly #encoder = new ReferenceEncoder();

  try(sample: EncodedSample, packs: boolean): Outcome {
    let views: DecodedSample[];
    try {
      views = decodeSample(sample);
    } catch (error) {
      if (error instanceof Failure) return { refused: error.reason, warnings: [], fault: undefined };
      return { refused: undefined, warnings: [], fault: `decoding threw ${String(error)}` };
    }
    const warnings = views.flatMap((view) => view.warnings.map(({ code }) => code));
    try {
      const fault = views.map((view) => this.#faultOf(view, packs)).find((found) => found !== undefined);
      return { refused: undefined, warnings, fault };
    } catch (error) {
      return { refused: undefined, warnings, fault: `what was stored gave ${String(error)}` };
    }
  }

  #faultOf({ template, record, storedFormat }: DecodedSample, packs: boolean): string | undefined {
    const isFinger = template.modality === 'finger';
    const facts = {
      fingerPosition: isFinger ? template.position : (0 as const),
      quality: template.quality,
      modelId: isFinger ? '' : template.modelId,
      dimension: isFinger ? 0 : template.dimension,
    };
    const stored = decodeStored({ storedFormat, template: record, ...facts });
    if (!isDeepStrictEqual(stored, template)) return 'the stored template is another than the live one';
    if (packs && !isDeepStrictEqual(this.#pack(stored), this.#pack(template))) return 'the packed bytes differ';
    // Written to a file of records, and imported.
    const modality = template.modality;
    const [again, ...more] = decodeSample({ modality, format: SAMPLE_FORMATS[storedFormat], data: record, ...facts });
    if (again === undefined || more.length > 0) return 'what was stored is not one view';
    if (!isDeepStrictEqual(again.template, template)) return 'the imported template is another than the live one';
    if (Buffer.compare(again.record, record) !== 0) return 'what is stored of it after an import differs';
    return undefined;
  }

  #pack(template: FingerTemplate | FaceTemplate): Uint8Array | undefined {
    return template.modality === 'finger' ? this.#encoder.encode(template) : packFace(template);
  }
}
