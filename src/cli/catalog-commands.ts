/** `oriel catalog`: the files of a data folder, by functions that the program's entry hands in. */
import { type Command, Option } from 'commander';
import { ServiceError } from '../base/service-error.js';
import type { DataPlace, FoundCatalog, PlacedCatalog } from './catalog-functions.js';
import { report } from './command.js';
import type { CliDeps } from './deps.js';
import { alignRows } from './output.js';

interface LocalOptions extends DataPlace {
  readonly json?: boolean;
}

/** Adds `oriel catalog`. */
export function addCatalog(program: Command, deps: CliDeps): void {
  const catalog = program.command('catalog').description('the catalog of a data folder on this machine');
  const local = (usage: string, description: string): Command =>
    catalog
      .command(usage)
      .description(description)
      .option('--data <dir>', 'data folder (default: that of the configuration)')
      .option('--config <file>', 'configuration (TOML) that names the data folder')
      .option('--json', 'print JSON');
  addBackup(local, deps);
  addVerify(local, deps);
  addMigrate(local, deps);
  addPromote(local, deps);
}

type Local = (usage: string, description: string) => Command;

function addBackup(local: Local, deps: CliDeps): void {
  local('backup <file>', 'copy the catalog of a single node or an authority into a file, while it runs')
    .option('--force', 'replace the file')
    .addHelpText('after', '\nExample:\n  oriel catalog backup /backup/catalog-$(date +%F).db --data /var/lib/oriel')
    .action(async (file: string, options: LocalOptions & { readonly force?: boolean }) => {
      const found = (await deps.catalog()).backup(options, { file, force: options.force === true });
      await report(deps, options, {
        json: { file, ...foundJson(found) },
        text: `wrote ${file}\n\n${foundText(found)}`,
      });
    });
  local('restore <file>', 'make a backup the catalog of a stopped node; the old one stays beside')
    .addOption(new Option('--as <kind>', 'what the node is, in an empty folder').choices(['single', 'primary']))
    .addHelpText('after', '\nExample:\n  oriel catalog restore /backup/catalog-2026-11-26.db --data /var/lib/oriel')
    .action(async (file: string, options: LocalOptions & { readonly as?: 'single' | 'primary' }) => {
      const restored = await (await deps.catalog()).restore(options, { file, as: options.as });
      await report(deps, options, {
        json: { file, as: restored.as, ...placedJson(restored), backup: foundJson(restored.backup) },
        text: `restored ${file}: epoch ${restored.epoch}\n${oldText(restored)}\n${foundText(restored.backup)}${restored.as === 'primary' ? REPLACES : ''}`,
      });
    });
}

function addVerify(local: Local, deps: CliDeps): void {
  local(
    'verify [file]',
    'look at a catalog from the pages up: of a data folder, or in a file; exit code 1 when unsound',
  )
    .addHelpText('after', '\nExample:\n  oriel catalog verify /backup/catalog-2026-11-26.db')
    .action(async (file: string | undefined, options: LocalOptions) => {
      const found = (await deps.catalog()).verify(options, file);
      await report(deps, options, {
        json: { file: found.file, ...foundJson(found), problems: found.problems },
        text: `${found.file}\n\n${foundText(found)}${problemsText(found.problems)}`,
      });
      if (found.problems.length > 0)
        throw new ServiceError('DATA_CORRUPT', `the catalog is not sound: ${found.problems.length} problems`);
    });
}

function addMigrate(local: Local, deps: CliDeps): void {
  local('migrate', 'bring the catalog of a stopped node to the schema of this release, as its next start would')
    .option('--check', 'only tell what is pending, also of a running node; exit code 1 when something is')
    .action(async (options: LocalOptions & { readonly check?: boolean }) => {
      const check = options.check === true;
      const { applied, pending } = await (await deps.catalog()).migrate(options, check);
      const list = pending.join(', ') || 'none';
      const text = check ? `applied ${applied}, pending: ${list}\n` : `applied: ${list}\n`;
      await report(deps, options, { json: check ? { applied, pending } : { applied: pending }, text });
      if (check && pending.length > 0)
        throw new ServiceError('STATE_CONFLICT', `${pending.length} migrations are pending: ${list}`);
    });
}

function addPromote(local: Local, deps: CliDeps): void {
  local('promote', 'make the copy of a stopped edge the catalog of a new authority, when the old one is lost')
    .option('--yes', 'do it; without, it is only told what the copy holds')
    .addHelpText('after', '\nExample:\n  oriel catalog promote --data /var/lib/oriel --yes')
    .action(async (options: LocalOptions & { readonly yes?: boolean }) => {
      const promoted = await (await deps.catalog()).promote(options, options.yes === true);
      const { copy, completeAtMs, placed, dataDir } = promoted;
      const complete = completeAtMs === null ? null : new Date(completeAtMs).toISOString();
      const when =
        complete === null || completeAtMs === null ? 'not known' : `${complete} (${ageText(completeAtMs)} ago)`;
      const facts = `${foundText(copy)}had everything at  ${when}\n\n${MISSING}`;
      const json = { ...foundJson(copy), complete_at: complete, promoted: placed !== undefined };
      await report(deps, options, {
        json: placed === undefined ? json : { ...json, ...placedJson(placed) },
        text: placed === undefined ? facts : `${facts}\n${oldText(placed)}${promotedText(placed, dataDir)}`,
      });
      if (placed === undefined)
        throw new ServiceError('STATE_CONFLICT', 'nothing was changed: add --yes to promote this copy');
    });
}

const REPLACES =
  '\nOnce it starts it takes the place of the authority that the nodes in this catalog have now, wherever it runs. For a drill,\n' +
  'give it another cluster key.\n';

const MISSING =
  'Changes that the old authority acknowledged after this position are not in the copy and will be missing, unless\n' +
  'another edge has a later position: look at each, and promote the one that is furthest.\n';

function promotedText(placed: PlacedCatalog, dataDir: string): string {
  return (
    `promoted: epoch ${placed.epoch}\n\n` +
    `1. Start the authority: oriel primary --data ${dataDir} (with the cluster's key, without "primary" in its configuration).\n` +
    '2. Name its gRPC address as --primary of every edge, and restart them.\n' +
    '3. When the old authority is back, start it as an edge: oriel serve --primary …\n'
  );
}

function oldText({ old }: PlacedCatalog): string {
  return old === undefined ? '' : `the old catalog is now ${old}\n`;
}

function placedJson({ epoch, old }: PlacedCatalog): object {
  return { epoch, old: old ?? null };
}

function foundText(found: FoundCatalog): string {
  const { position, changedAtMs } = found;
  const rows = [
    ['schema version', `${found.schemaVersion}${found.pending > 0 ? `, ${found.pending} migrations pending` : ''}`],
    ['position', position === null ? 'none' : `${position.epoch}.${position.frame}`],
    ['images', `${found.images}, deleted ones included`],
    [
      'last change',
      changedAtMs === null
        ? 'none within a day of the one before'
        : `${new Date(changedAtMs).toISOString()} (${ageText(changedAtMs)} ago)`,
    ],
  ];
  return alignRows(rows, []);
}

function foundJson({ schemaVersion, pending, position, images, changedAtMs }: FoundCatalog): object {
  return {
    ...{ schema_version: schemaVersion, pending_migrations: pending, images },
    position: position === null ? null : `${position.epoch}.${position.frame}`,
    changed_at: changedAtMs === null ? null : new Date(changedAtMs).toISOString(),
  };
}

function problemsText(problems: readonly string[]): string {
  return problems.length === 0 ? '\nsound\n' : `\n${problems.map((problem) => `PROBLEM ${problem}\n`).join('')}`;
}

function ageText(atMs: number): string {
  const seconds = Math.max(0, Math.round((Date.now() - atMs) / 1000));
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
