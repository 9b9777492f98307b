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
    sequence: { shuffle: { files: true, tests: false } },
  },
});
