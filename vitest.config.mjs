import { defineConfig } from 'vitest/config';

// Tests run as compiled by tsc, worker threads and child processes included; those that start a node or the command line
// run the bundle that is made of the same files (test/support/repository.ts).
export default defineConfig({
  test: {
    include: ['dist/src/**/*.test.js', 'dist/test/**/*.test.js'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
});
