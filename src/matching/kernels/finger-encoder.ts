import { MAX_MINUTIAE, type FingerTemplate, type Minutia } from '../../templates/finger-template.ts';
import type { FingerModel } from '../model/finger-model.ts';
import { KernelArena } from './kernel-arena.ts';
import type { KernelBuild } from './kernel-builds.ts';
import { ENCODE_SCRATCH_BYTES, MINIMUM_MINUTIAE, type Kernels } from './kernels.ts';
import { FINGER_PACKED_MAX_BYTES, packedOffsets } from '../model/packed-layout.ts';
import { shippedFingerModel } from '../model/shipped-model.ts';

const MINUTIA_BYTES = 8;
/** Coordinates are sixteen-bit, from the lower left corner of the print. */
const MAX_COORDINATE = 32_767;

/** Encodes finger templates for the kernels, in a separate small memory. */
export class FingerEncoder {
  readonly #arena = new KernelArena();
  readonly #input = this.#arena.reserve(MAX_MINUTIAE * MINUTIA_BYTES);
  readonly #output = this.#arena.reserve(FINGER_PACKED_MAX_BYTES);
  readonly #scratch = this.#arena.reserve(ENCODE_SCRATCH_BYTES);
  readonly #planes: number;
  readonly #kernels: Kernels;
  readonly #view: DataView;

  /** @param build - the kernel build; by default the fastest that runs here */
  constructor(model: FingerModel = shippedFingerModel(), build?: KernelBuild) {
    const { planes, offsets } = model;
    this.#planes = this.#arena.reserve(planes.byteLength + offsets.byteLength);
    this.#kernels = this.#arena.instantiate(model, build);
    this.#arena.write(this.#planes, planes);
    this.#arena.write(this.#planes + planes.byteLength, offsets);
    this.#kernels.arrangePlanes(this.#planes, this.#scratch);
    this.#view = new DataView(this.#arena.buffer, this.#input, MAX_MINUTIAE * MINUTIA_BYTES);
  }

  /**
   * @returns the packed finger; undefined when the template has fewer than MINIMUM_MINUTIAE minutiae
   * @throws RangeError when the print spans more pixels than coordinates can hold, which decoding excludes
   */
  encode(template: FingerTemplate): Uint8Array | undefined {
    const { minutiae } = template;
    if (minutiae.length < MINIMUM_MINUTIAE) return undefined;
    const { x: originX, y: originY } = originOf(template);
    let at = 0;
    for (const minutia of minutiae) {
      this.#view.setInt16(at, relative(minutia.x, originX), true);
      this.#view.setInt16(at + 2, relative(minutia.y, originY), true);
      this.#view.setUint8(at + 4, minutia.angle);
      this.#view.setUint8(at + 5, attributeByteOf(minutia));
      at += MINUTIA_BYTES;
    }
    const length = this.#kernels.encodeFinger(this.#input, minutiae.length, this.#output, this.#planes, this.#scratch);
    if (length !== packedOffsets(minutiae.length).length) throw new RangeError('the template has too many minutiae');
    return this.#arena.read(this.#output, length);
  }
}

/** Type and quality in one byte: quality 1 to 100 maps to 1 to 63; 0 stays "not stated". */
export function attributeByteOf({ type, quality }: Minutia): number {
  const steps = quality === 0 ? 0 : Math.max(1, Math.round((quality * 63) / 100));
  return (steps << 2) | type;
}

/** The lower left corner of the minutiae: the origin of packed coordinates. */
export function originOf({ minutiae }: FingerTemplate): { readonly x: number; readonly y: number } {
  let [x, y] = [Infinity, Infinity];
  for (const minutia of minutiae) {
    x = Math.min(x, minutia.x);
    y = Math.min(y, minutia.y);
  }
  return { x, y };
}

function relative(coordinate: number, origin: number): number {
  const value = coordinate - origin;
  if (value > MAX_COORDINATE) throw new RangeError('the template is larger than a hand');
  return value;
}
