/** `oriel node status|info|whoami`. */
import type { Command } from 'commander';
import { ServiceError } from '../base/service-error.js';
import { type CommonOptions, nodeCommand, report, withClient } from './command.js';
import type { CliDeps } from './deps.js';
import { wordOf } from './image-words.js';
import { alignRows, printable } from './output.js';

/** Adds `oriel node`. */
export function addNode(program: Command, deps: CliDeps): void {
  const node = program.command('node').description('ask a node about itself');
  nodeCommand(node, 'status', 'state of the node and its parts; exit code 1 when it is not ready').action(
    async (options: CommonOptions) => {
      const status = await withClient(options, deps, async (client) => client.node.getNodeStatus({}));
      const started = status.startedAt?.toISOString() ?? null;
      const parts = status.parts.map((part) => [part.name, part.ok ? 'ok' : 'FAILED', part.message]);
      const facts = [
        ['node', status.nodeId],
        ['site', status.site],
        ['version', status.version],
        ['started', started ?? '-'],
        ['ready', status.ready ? 'yes' : 'NO'],
      ];
      await report(deps, options, {
        json: {
          node_id: status.nodeId,
          site: status.site,
          version: status.version,
          started_at: started,
          ready: status.ready,
          parts: status.parts,
        },
        text: `${alignRows(facts, [])}\n${alignRows([['PART', 'STATE', 'MESSAGE'], ...parts], [])}`,
      });
      if (!status.ready) throw new ServiceError('UNAVAILABLE', 'the node is not ready');
    },
  );
  nodeCommand(node, 'whoami', 'who you are to the node').action(async (options: CommonOptions) => {
    const caller = await withClient(options, deps, async (client) => client.node.getCaller({}));
    const kind = wordOf(caller.kind, 'CALLER_KIND_');
    const { userId, projectId, roles } = caller;
    await report(deps, options, {
      json: { kind, user_id: userId, project_id: projectId === '' ? null : projectId, roles },
      text: printable(`${kind} ${userId}, project ${projectId || '-'}, roles ${roles.join(', ') || '-'}\n`, '\n'),
    });
  });
}
