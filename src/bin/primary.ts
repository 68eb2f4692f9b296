import type { Config } from '../config/config.js';
import { type AuthorityRole, openAuthorityRole, type PrimaryOptions } from './authority-role.js';
import { type RunningNode, startNode } from './serve.js';

/** The authority of a cluster, serving. */
export interface RunningPrimary extends RunningNode {
  sqldPid(): number | undefined;
}

/** Starts the authority of a cluster: sqld, its only writer, and a node over both. */
export async function startPrimary(config: Config, options: PrimaryOptions): Promise<RunningPrimary> {
  let role: AuthorityRole | undefined;
  const node = await startNode(config, () =>
    Promise.resolve(async (self) => {
      role = await openAuthorityRole(config, options, self);
      return role;
    }),
  );
  return { ...node, sqldPid: () => role?.sqldPid() };
}
