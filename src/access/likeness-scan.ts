/** Binding of the kernel that finds codes near one (assembly/likeness). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { installationFolder } from '../installation.ts';
import { CODE_WORDS } from './likeness-code.ts';

/** Codes that are looked through at a time: with them the memory stays in the first cache. */
export const BATCH_CODES = 512;

/** Addresses in the memory of two pages; the first 8 KiB are the compiler's. */
const CODE_AT = 0x4000;
const FOUND_AT = 0x5000;
const CODES_AT = 0x8000;

interface Kernel {
  readonly memory: WebAssembly.Memory;
  near(code: number, codes: number, count: number, maxFirst: number, maxBits: number, out: number): number;
}

/** Looks through codes. One for the process: nothing of it is kept between two uses. */
export class LikenessScan {
  readonly #kernel: Kernel;
  readonly #code: Uint32Array;
  readonly #codes: Uint32Array;
  readonly #found: Uint16Array;
  #count = 0;

  /** @throws Error when the kernel is not built */
  constructor() {
    this.#kernel = new WebAssembly.Instance(module()).exports as unknown as Kernel;
    const { buffer } = this.#kernel.memory;
    this.#code = new Uint32Array(buffer, CODE_AT, CODE_WORDS);
    this.#codes = new Uint32Array(buffer, CODES_AT, BATCH_CODES * CODE_WORDS);
    this.#found = new Uint16Array(buffer, FOUND_AT, BATCH_CODES);
  }

  /** Takes what is to be looked through. @param codes - CODE_WORDS words each, at most BATCH_CODES of them */
  load(codes: Uint32Array): void {
    this.#codes.set(codes);
    this.#count = codes.length / CODE_WORDS;
  }

  /**
   * Finds the codes near one.
   * @param maxFirst - bits of the first half that may differ
   * @param maxBits - bits of the whole that may differ
   * @returns their numbers among those loaded, in order; valid until the next call
   */
  near(code: Uint32Array, maxFirst: number, maxBits: number): Uint16Array {
    this.#code.set(code);
    const count = this.#kernel.near(CODE_AT, CODES_AT, this.#count, maxFirst, maxBits, FOUND_AT);
    return this.#found.subarray(0, count);
  }

  /** Overwrites the codes: what is forgotten must not stay in memory. */
  wipe(): void {
    this.#code.fill(0);
    this.#codes.fill(0);
    this.#count = 0;
  }
}

function module(): WebAssembly.Module {
  try {
    return new WebAssembly.Module(readFileSync(join(installationFolder, 'dist/assembly/likeness.wasm')));
  } catch (cause) {
    throw new Error('The kernels are not built. Run: npm run build', { cause });
  }
}
