import { defineConfig } from 'vitest/config';

// Tests run as compiled by tsc: what is tested, worker threads and child processes included, is what ships.
export default defineConfig({
  test: {
    include: ['dist/src/**/*.test.js', 'dist/test/**/*.test.js'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
});
