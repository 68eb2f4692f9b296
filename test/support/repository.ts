/** Where things of the checkout are, seen from the compiled tests in dist/test. */
import path from 'node:path';

export const REPOSITORY = path.resolve(import.meta.dirname, '../../..');

/** The program under test: what `bin` of the package names. */
export const ORIEL_PROGRAM = path.join(REPOSITORY, 'dist/program/bin/oriel.js');
