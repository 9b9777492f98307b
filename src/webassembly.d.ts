/**
 * The part of the WebAssembly JavaScript API that this program uses. TypeScript ships these types only together with a
 * browser's, and @types/node declares only a fraction of them.
 */
declare namespace WebAssembly {
  interface MemoryDescriptor {
    /** Pages of 64 KiB. */
    initial: number;
    maximum?: number;
    shared?: boolean;
  }
  class Memory {
    constructor(descriptor: MemoryDescriptor);
    /** For a shared memory: a SharedArrayBuffer of the present length; `grow` replaces it with a longer one. */
    readonly buffer: SharedArrayBuffer;
    /** @returns the number of pages before */
    grow(pages: number): number;
  }
  class Module {
    constructor(bytes: Uint8Array);
  }
  type ExportValue = ((...args: number[]) => number) | Memory | { value: number };
  class Instance {
    constructor(module: Module, imports?: Record<string, Record<string, unknown>>);
    readonly exports: Record<string, ExportValue>;
  }
  function validate(bytes: Uint8Array): boolean;
}
