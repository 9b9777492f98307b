import { aligned, PAGE_BYTES } from '../../gallery/segment-layout.ts';
import type { FingerModel } from '../model/finger-model.ts';
import type { KernelBuild } from './kernel-builds.ts';
import { instantiateKernels, KERNEL_STATIC_BYTES, type Kernels } from './kernels.ts';

/**
 * A memory for kernels. Reserved areas follow the kernels' own tables, each aligned to 16 bytes. The memory is
 * allocated on first use and never grows.
 */
export class KernelArena {
  #end = KERNEL_STATIC_BYTES;
  #memory: WebAssembly.Memory | undefined;

  /**
   * Makes room for an area.
   * @returns its address in bytes, a multiple of 16
   * @throws Error once the memory is in use
   */
  reserve(bytes: number): number {
    if (this.#memory !== undefined) throw new Error('the arena is in use already');
    const address = this.#end;
    this.#end += aligned(bytes);
    return address;
  }

  /** Shared, as the kernels require; zero where nothing was written. */
  get memory(): WebAssembly.Memory {
    if (this.#memory === undefined) {
      const pages = Math.ceil(this.#end / PAGE_BYTES);
      this.#memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    }
    return this.#memory;
  }

  get buffer(): ArrayBufferLike {
    return this.memory.buffer;
  }

  /** Copies an array into the memory. */
  write(address: number, { buffer, byteOffset, byteLength }: ArrayBufferView): void {
    this.#bytes(address, byteLength).set(new Uint8Array(buffer, byteOffset, byteLength));
  }

  /** A copy of an area. */
  read(address: number, bytes: number): Uint8Array<ArrayBuffer> {
    const copy = new Uint8Array(bytes);
    copy.set(this.#bytes(address, bytes));
    return copy;
  }

  /** Overwrites what a call has left in an area. */
  wipe(address: number, bytes: number): void {
    new Uint8Array(this.buffer, address, bytes).fill(0);
  }

  /** @throws Error when the kernels are not built */
  instantiate(model?: FingerModel, build?: KernelBuild): Kernels {
    return instantiateKernels(this.memory, model, build);
  }

  #bytes(address: number, length: number): Uint8Array {
    return new Uint8Array(this.buffer, address, length);
  }
}
