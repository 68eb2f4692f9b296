import type { NodeId } from '../base/brand.js';
import { asImageId } from '../base/brand.js';
import { withFinding } from '../domain/image-damage.js';
import { dataOf } from '../domain/image.js';
import type { Location } from '../domain/location.js';
import type { AuthorityContext } from './catalog-context.js';
import type { LocationReport } from './ports/node-commands.js';
import type { Effect } from './ports/catalog.js';
import { repairWork } from './repair-effects.js';
import { writeDecided } from './write-decided.js';

/**
 * Takes note of what a node found at a location, if that is still the same. The node whose store it is has it marked and has to
 * repair it, or has the mark taken away. The word of another one is no proof: the owner is asked to look. Returns whether the location
 * is marked now.
 */
export async function reportLocation(
  context: AuthorityContext,
  nodeId: NodeId,
  report: LocationReport,
): Promise<boolean> {
  const id = asImageId(report.imageId);
  if (id === undefined) return false;
  const operation = { opId: context.ids.uuid(), subject: id, repeatable: false };
  return writeDecided(context, { id, operation }, (reader) => {
    const before = reader.image(id);
    const location = before === undefined ? undefined : dataOf(before)?.locations.find(isMeant(report));
    // What awaits its deletion needs no repair.
    if (before === undefined || location === undefined || before.status === 'pending_delete')
      return { result: false, effects: [] };
    const owner = location.nodeId ?? context.nodeId;
    const ask: Effect = { kind: 'put-work', work: { nodeId: owner, kind: 'repair', imageId: id, candidate: null } };
    const isWhole = report.found === 'whole';
    if (isWhole && (owner !== nodeId || location.damage === undefined)) return { result: false, effects: [] };
    if (owner !== nodeId) return { result: false, effects: [ask] };
    if (location.damage === report.found) return { result: true, effects: [ask] };
    const after = { ...withFinding(before, location.id, report.found), version: before.version + 1 };
    // Others that are damaged have a good copy now.
    const work = isWhole ? repairWork(context.nodeId, after) : [ask];
    return { result: !isWhole, effects: [{ kind: 'update-image', before, after }, ...work] };
  });
}

function isMeant({ locationId, key }: LocationReport): (location: Location) => boolean {
  return (location) => location.id === locationId && location.key === key;
}
