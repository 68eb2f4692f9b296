import type { RestCaller } from './rest-caller.js';

/** What the cases use; filled in before the first of them runs. */
export interface Rest {
  readonly url: string;
  /** A caller in a project, by default a fresh one with role member. */
  as(project?: string, roles?: string): RestCaller;
  readonly admin: RestCaller;
}
