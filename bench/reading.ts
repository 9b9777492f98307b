/** How fast this machine's memory can be read by one thread in WebAssembly: the bound of every scan. */
import asc from 'assemblyscript/asc';

/** Four loads a turn and an operation for each: nothing but memory holds it up. */
const SOURCE = `
export function read(from: usize, bytes: usize): i32 {
  let a = i32x4.splat(0), b = a, c = a, d = a;
  for (let at = from, end = from + bytes; at < end; at += 64) {
    a = v128.xor(a, v128.load(at));
    b = v128.xor(b, v128.load(at, 16));
    c = v128.xor(c, v128.load(at, 32));
    d = v128.xor(d, v128.load(at, 48));
  }
  return i32x4.extract_lane(v128.xor(v128.xor(a, b), v128.xor(c, d)), 0);
}`;

/**
 * @param memory - shared, of at most 65,536 pages
 * @returns reads a range, a multiple of 64 bytes long
 */
export async function memoryReader(memory: WebAssembly.Memory): Promise<(address: number, bytes: number) => number> {
  const { error, binary } = await asc.compileString(SOURCE, {
    optimizeLevel: 3,
    noAssert: true,
    runtime: 'stub',
    enable: ['simd', 'threads'],
    importMemory: true,
    sharedMemory: true,
    initialMemory: 1,
    maximumMemory: 65_536,
  });
  if (error !== null || binary === null) throw new Error('The reading loop was not compiled.', { cause: error });
  const module = new WebAssembly.Module(Uint8Array.from(binary));
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  return exports.read as (address: number, bytes: number) => number;
}
