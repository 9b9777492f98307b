/** The builds of the kernels, for tests that run against each. */
import { canRun, type KernelBuild } from '../../src/matching/kernels/kernel-builds.ts';

export interface BuildCase {
  readonly build: KernelBuild;
  /** For the title of a test: the build's name, and why it is skipped where it is. */
  readonly title: string;
  readonly skipped: boolean;
}

export const buildCases: readonly BuildCase[] = [
  { build: 'plain', title: 'plain', skipped: !canRun('plain') },
  {
    build: 'relaxed',
    title: 'relaxed, skipped where the engine has no relaxed SIMD',
    skipped: !canRun('relaxed'),
  },
];
