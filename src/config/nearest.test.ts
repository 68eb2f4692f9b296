import fc from 'fast-check';
import { expect, it } from 'vitest';
import { editDistance, nearest } from './nearest.js';

it('finds the word that was meant', () => {
  expect(nearest('htpp', ['data', 'http', 'grpc'])).toBe('http');
  expect(nearest('max_staleness_', ['max_staleness', 'sync_interval'])).toBe('max_staleness');
});

it('finds nothing when all words are far', () => {
  expect(nearest('colour', ['data', 'http', 'grpc'])).toBeUndefined();
});

it('measures a metric: zero only for equals, symmetric, triangle inequality', () => {
  const word = fc.string({ maxLength: 8 });
  fc.assert(
    fc.property(word, word, word, (a, b, c) => {
      expect(editDistance(a, b) === 0).toBe(a === b);
      expect(editDistance(a, b)).toBe(editDistance(b, a));
      expect(editDistance(a, c)).toBeLessThanOrEqual(editDistance(a, b) + editDistance(b, c));
    }),
  );
});
