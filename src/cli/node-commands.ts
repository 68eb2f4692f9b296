/** `oriel node status|list|whoami|cache`. */
import type { Command } from 'commander';
import { ServiceError } from '../base/service-error.js';
import type { Node, ScrubStatus } from '../gen/oriel/node/v1/node_service.js';
import { addCache } from './cache-commands.js';
import { type CommonOptions, nodeCommand, report, withClient } from './command.js';
import type { CliDeps } from './deps.js';
import { wordOf } from './image-words.js';
import { alignRows, bytesText, printable } from './output.js';

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
        ['checked', scrubText(status.scrub)],
      ];
      await report(deps, options, {
        json: {
          node_id: status.nodeId,
          site: status.site,
          version: status.version,
          started_at: started,
          ready: status.ready,
          parts: status.parts,
          scrub: scrubJson(status.scrub),
        },
        text: `${alignRows(facts, [])}\n${alignRows([['PART', 'STATE', 'MESSAGE'], ...parts], [])}`,
      });
      if (!status.ready) throw new ServiceError('UNAVAILABLE', 'the node is not ready');
    },
  );
  nodeCommand(node, 'list', 'the nodes of the cluster, with the age of their catalogs').action(
    async (options: CommonOptions) => {
      const { nodes } = await withClient(options, deps, async (client) => client.node.listNodes({}));
      await report(deps, options, { json: nodes.map(nodeJson), text: alignRows(nodeRows(nodes), []) });
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
  addCache(node, deps);
}

function scrubText(scrub: ScrubStatus | undefined): string {
  if (scrub?.passStartedAt === undefined) return 'not yet';
  const { objects, bytes, damaged, repaired, orphans } = scrub;
  const pass = scrub.passEndedAt === undefined ? `since ${scrub.passStartedAt.toISOString()}` : 'all';
  return (
    `${pass}: ${objects} objects, ${bytesText(Number(bytes))}; ` +
    `${damaged} found damaged, ${repaired} repaired, ${orphans} orphans removed`
  );
}

function scrubJson(scrub: ScrubStatus | undefined): object {
  return {
    pass_started_at: scrub?.passStartedAt?.toISOString() ?? null,
    pass_ended_at: scrub?.passEndedAt?.toISOString() ?? null,
    ...{ objects: Number(scrub?.objects ?? 0), bytes: Number(scrub?.bytes ?? 0) },
    ...{ damaged: Number(scrub?.damaged ?? 0), repaired: Number(scrub?.repaired ?? 0) },
    orphans: Number(scrub?.orphans ?? 0),
  };
}

const HEAD = ['ID', 'SITE', 'ROLE', 'ALIVE', 'POSITION', 'LAG', 'FREE', 'UPLOADS', 'HTTP', 'GRPC', 'VERSION'];

function nodeRows(nodes: readonly Node[]): string[][] {
  const rows = nodes.map((node) => [
    ...[node.id, node.site, wordOf(node.role, 'NODE_ROLE_'), node.alive ? 'yes' : 'NO', node.position || '-'],
    ...[node.position === '' ? '-' : `${node.stalenessMs} ms`, bytesText(Number(node.freeBytes)), String(node.uploads)],
    ...[node.httpUrl || '-', node.grpcAddress || '-', node.version || '-'],
  ]);
  return [HEAD, ...rows];
}

function nodeJson(node: Node): object {
  return {
    ...{ id: node.id, site: node.site, role: wordOf(node.role, 'NODE_ROLE_'), version: node.version },
    ...{ http_url: node.httpUrl, grpc_address: node.grpcAddress, stores: node.stores },
    ...{ alive: node.alive, seen_at: node.seenAt?.toISOString() ?? null },
    ...{ position: node.position, staleness_ms: Number(node.stalenessMs) },
    ...{ free_bytes: Number(node.freeBytes), total_bytes: Number(node.totalBytes), uploads: node.uploads },
  };
}
