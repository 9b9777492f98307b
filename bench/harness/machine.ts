/** The machine of a measurement. Figures have no meaning without it. */
import { availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { preferredBuild } from '../../src/matching/kernels/kernel-builds.ts';
import { memoryReader } from './memory-reader.ts';
import { spreadOf, type Spread } from './spread.ts';

export interface Machine {
  readonly cpu: string;
  /** Cores that this process may use. */
  readonly cores: number;
  readonly memoryGigabytes: number;
  readonly system: string;
  readonly node: string;
  readonly v8: string;
  readonly simd: 'relaxed-simd' | 'simd128';
  /** Rate at which one WebAssembly thread reads memory far beyond the caches: the upper bound of every scan. */
  readonly readGigabytesPerSecond: Spread;
}

/** Far more than a core's caches hold. A larger third-level cache counts as part of the machine. */
const READ_BYTES = 1 << 28;
const READS = 9;
const PAGE = 65_536;

/** Describes the machine and measures its memory, in half a second. */
export function describeMachine(): Machine {
  const memory = new WebAssembly.Memory({ initial: READ_BYTES / PAGE, maximum: READ_BYTES / PAGE, shared: true });
  // Unwritten pages all map to one page of zeros, which fits every cache.
  new Uint8Array(memory.buffer).fill(1);
  const read = memoryReader(memory);
  const rates = Array.from({ length: READS }, () => {
    const started = performance.now();
    read(0, READ_BYTES);
    return READ_BYTES / 1e6 / (performance.now() - started);
  });
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    node: process.version,
    v8: process.versions.v8,
    simd: preferredBuild() === 'relaxed' ? 'relaxed-simd' : 'simd128',
    // The first one warms up.
    readGigabytesPerSecond: spreadOf(rates.slice(1)),
  };
}

/** Identifies the processor. Ratios of speeds depend on it. */
export function processorOf({ cpu, cores, simd }: Machine): string {
  return `${cpu}, ${cores} cores, ${simd}`;
}

export function machineLine({ cpu, cores, memoryGigabytes, node, v8, simd, readGigabytesPerSecond }: Machine): string {
  const { median, low, high } = readGigabytesPerSecond;
  return `${cpu}, ${cores} cores, ${memoryGigabytes} GB; Node.js ${node} (V8 ${v8}), ${simd}; memory read at ${median.toFixed(1)} GB/s (${low.toFixed(1)} to ${high.toFixed(1)})`;
}
