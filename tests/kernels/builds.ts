/** The builds of the kernels, for tests that run against each. */
import { canRun, type KernelBuild } from '../../src/matching/kernels/kernel-builds.ts';

export interface BuildCase {
  readonly build: KernelBuild;
  /** The build's name for the title of a test, with the reason if it is skipped. */
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
