/** Cost of calling a kernel without work: the reason for one call per batch. */
import type { KernelBuild } from '../../src/matching/kernels/kernel-builds.ts';
import { instantiateKernels, KERNEL_STATIC_BYTES } from '../../src/matching/kernels/kernels.ts';
import type { ContenderGroup } from '../harness/rates.ts';
import { DIMENSION } from './people.ts';

const CALLS = 1_000_000;

export function crossing(builds: readonly KernelBuild[]): ContenderGroup {
  return {
    name: 'calling a kernel for nothing',
    unit: 'calls',
    contenders: builds.map((build) => {
      const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
      const kernels = instantiateKernels(memory, undefined, build);
      const at = KERNEL_STATIC_BYTES;
      const run = () => {
        for (let i = 0; i < CALLS; i++) kernels.compareFaces(at, DIMENSION, at, 0, at, at);
        return CALLS;
      };
      return { name: build, run };
    }),
  };
}
