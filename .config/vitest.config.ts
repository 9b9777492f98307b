import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    globalSetup: ['tests/global-setup.ts'],
    // Real databases, sockets and worker threads: two files at a time is what two cores carry.
    maxWorkers: 2,
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 120_000,
    reporters: ['default', ['json', { outputFile: 'dist/test-report.json' }]],
    // No test may need another one: the order is a new one each time, and can be had again by its seed (`--sequence.seed`).
    sequence: { shuffle: { files: true, tests: true } },
  },
});
