import type { NodeId } from '../base/brand.js';
import type { ImageRules } from '../domain/limits.js';
import type { PropertyProtection } from '../domain/property-protection.js';
import type { ImageTurns } from './image-turns.js';
import type { Catalog } from './ports/catalog.js';
import type { Clock, IdSource } from './ports/clock.js';

/** What the use cases of the catalog work with. */
export interface CatalogContext {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly rules: ImageRules;
  readonly protection: PropertyProtection;
  readonly turns: ImageTurns;
}

/** The authority, whose node has what lies at no named one. */
export interface AuthorityContext extends CatalogContext {
  readonly nodeId: NodeId;
}
