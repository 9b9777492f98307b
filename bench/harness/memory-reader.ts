/** Reads memory in WebAssembly as fast as one thread can: the upper bound of every scan. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Four loads per iteration and one operation for each: memory is the only limit. */
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
const OPTIONS =
  '-O3 --noAssert --runtime stub --enable simd --enable threads --importMemory --sharedMemory --initialMemory 1 --maximumMemory 65536';

/**
 * @param memory - shared, of at most 65,536 pages
 * @returns reads a range, a multiple of 64 bytes long
 */
export function memoryReader(memory: WebAssembly.Memory): (address: number, bytes: number) => number {
  const folder = mkdtempSync(join(tmpdir(), 'ridgewatch-reading-'));
  try {
    const [source, output] = [join(folder, 'read.ts'), join(folder, 'read.wasm')];
    writeFileSync(source, SOURCE);
    // Run as a program: importing the module would add its types to every array.
    const compiler = join(import.meta.dirname, '../../node_modules/assemblyscript/bin/asc.js');
    execFileSync(process.execPath, [compiler, source, '-o', output, ...OPTIONS.split(' ')]);
    const module = new WebAssembly.Module(readFileSync(output));
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    return exports.read as (address: number, bytes: number) => number;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
