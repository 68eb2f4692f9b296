import type { Caller } from './caller.js';

export type PropertyOperation = 'create' | 'read' | 'update' | 'delete';

/**
 * Says who may do what with a custom property (Images API v2 §9). Asked for every custom property that is read or
 * changed; base attributes are never protected.
 */
export interface PropertyProtection {
  /** True when nothing is protected: views of an image do not depend on the caller then. */
  readonly allowsEverything: boolean;
  allows(operation: PropertyOperation, name: string, caller: Caller): boolean;
}

/** No rules: everyone who may change an image may change its properties. */
export const NO_PROTECTION: PropertyProtection = { allowsEverything: true, allows: () => true };
