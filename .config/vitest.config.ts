import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    globalSetup: ['tests/global-setup.ts'],
    // Tests use real databases, sockets and worker threads: two cores carry two files at a time.
    maxWorkers: 2,
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 120_000,
    reporters: ['default', ['json', { outputFile: 'dist/test-report.json' }]],
    // No test may depend on another: the order is random, and can be repeated by its seed (`--sequence.seed`).
    sequence: { shuffle: { files: true, tests: true } },
  },
});
