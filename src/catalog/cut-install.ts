import { existsSync } from 'node:fs';
import { ServiceError } from '../base/service-error.js';

/** The name of a whole catalog that is about to take its place (upkeep/install-catalog.ts). */
export function restoredName(place: string): string {
  return `${place}.restored`;
}

/**
 * Asked before an empty catalog is made. STATE_CONFLICT: there is none because one was just being put in its place when that
 * was cut off.
 */
export function refuseCutInstall(place: string): void {
  if (existsSync(place) || !existsSync(restoredName(place))) return;
  throw new ServiceError('STATE_CONFLICT', 'a restore or promotion of the catalog was cut off: run it again');
}
