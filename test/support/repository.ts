/** Where things of the checkout are, seen from the compiled tests in dist/test. */
import path from 'node:path';

export const REPOSITORY = path.resolve(import.meta.dirname, '../../..');

/** The program under test, as compiled. */
export const ORIEL_PROGRAM = path.join(REPOSITORY, 'dist/src/bin/oriel.js');
