/** The WebAssembly modules and their builds: where to find them, and which one runs here. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { installationFolder } from '../../installation.ts';

/**
 * Two builds of the same kernels: plain for every engine, and relaxed SIMD, which is faster where the engine has it
 * (Node.js 24 does, 20 does not). Both give the same integers: the relaxed build uses only integer operations with one
 * result on every engine.
 */
export type KernelBuild = 'plain' | 'relaxed';

/** `kernels` decide scores; `candidates` only which references are compared. */
export type ModuleName = 'kernels' | 'candidates';

const SUFFIXES: Readonly<Record<KernelBuild, string>> = { plain: '', relaxed: '-relaxed' };
const modules = new Map<string, WebAssembly.Module>();
let preferred: KernelBuild | undefined;

/** The bytes of a build. @throws Error when it is not built */
export function readModule(name: ModuleName, build: KernelBuild): Buffer<ArrayBuffer> {
  try {
    return readFileSync(join(installationFolder, 'dist/assembly', `${name}${SUFFIXES[build]}.wasm`));
  } catch (cause) {
    throw new Error('The kernels are not built. Run: npm run build', { cause });
  }
}

/**
 * @returns whether this engine runs the build
 * @throws Error when it is not built
 */
export function canRun(build: KernelBuild): boolean {
  return WebAssembly.validate(readModule('kernels', build));
}

/**
 * @returns the default build: the fastest that this engine runs
 * @throws Error when the kernels are not built
 */
export function preferredBuild(): KernelBuild {
  return (preferred ??= canRun('relaxed') ? 'relaxed' : 'plain');
}

/** A module, compiled once per thread. @throws Error when it is not built */
export function kernelModule(name: ModuleName, build: KernelBuild = preferredBuild()): WebAssembly.Module {
  const key = `${name}${SUFFIXES[build]}`;
  let module = modules.get(key);
  if (module === undefined) {
    module = new WebAssembly.Module(readModule(name, build));
    modules.set(key, module);
  }
  return module;
}
