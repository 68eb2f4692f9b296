import { SQL as initial } from './0001-initial.js';

/** The migrations in order; entry n has version n + 1. Forward only, and frozen once merged. */
export const MIGRATIONS: readonly string[] = [initial];
