/** `oriel token` and `oriel config`: on files of this machine, by functions that the program's entry hands in. */
import { type Command, InvalidArgumentError } from 'commander';
import { collect, report } from './command.js';
import type { CliDeps, TokenFilePlace } from './deps.js';
import { alignRows } from './output.js';

interface LocalOptions extends TokenFilePlace {
  readonly json?: boolean;
}

/** Adds `oriel token`. */
export function addToken(program: Command, deps: CliDeps): void {
  const token = program.command('token').description('tokens of authentication mode "token", kept hashed in a file');
  const local = (usage: string, description: string): Command =>
    token
      .command(usage)
      .description(description)
      .option('--file <file>', 'the token file (default: that of the configuration)')
      .option('--config <file>', 'configuration (TOML) that names the token file')
      .option('--data <dir>', 'data folder, where the token file is by default (default ./data)')
      .option('--json', 'print JSON');
  local('create', 'make a token and print it, this once')
    .requiredOption('--user <name>', 'who has it')
    .option('--project <project>', 'project it acts in (default: none)')
    .option('--role <role>', `role: ${ROLES.join(', ')}; several times (default: member, reader)`, collectRole)
    .option('--expires <duration>', 'how long it is good, such as 30d (default: for ever)')
    .addHelpText('after', '\nExample:\n  export ORIEL_TOKEN=$(oriel token create --user ci --project demo)')
    .action(async (options: LocalOptions & CreateTokenOptions) => {
      const created = await deps.tokens.create(options, {
        user: options.user,
        project: options.project ?? null,
        roles: options.role ?? ['member', 'reader'],
        expiresAfter: options.expires ?? null,
      });
      const { id, user, project, roles, expires_at } = created.record;
      const json = { token: created.token, id, user, project, roles, expires_at };
      await report(deps, options, { json, text: `${created.token}\n` });
    });
  local('list', 'list the tokens, without the secrets').action(async (options: LocalOptions) => {
    const records = await deps.tokens.list(options);
    const rows = records.map((line) => [
      line.id,
      line.user,
      line.project ?? '-',
      line.roles.join(','),
      line.created_at,
      line.expires_at ?? 'never',
    ]);
    await report(deps, options, {
      json: records.map(({ id, user, project, roles, created_at, expires_at }) => {
        return { id, user, project, roles, created_at, expires_at };
      }),
      text: alignRows([['ID', 'USER', 'PROJECT', 'ROLES', 'CREATED', 'EXPIRES'], ...rows], []),
    });
  });
  local('revoke <id>', 'remove a token; running nodes see it within a second').action(
    async (id: string, options: LocalOptions) => {
      await deps.tokens.revoke(options, id);
      await report(deps, options, { json: { revoked: id }, text: `revoked ${id}\n` });
    },
  );
}

/** The roles that the rules know (domain/policy.ts); another would open nothing. */
const ROLES: readonly string[] = ['reader', 'member', 'manager', 'admin', 'service'];

function collectRole(text: string, before: readonly string[] = []): readonly string[] {
  if (!ROLES.includes(text.toLowerCase())) throw new InvalidArgumentError(`expected one of ${ROLES.join(', ')}.`);
  return collect(text, before);
}

interface CreateTokenOptions {
  readonly user: string;
  readonly project?: string;
  readonly role?: readonly string[];
  readonly expires?: string;
}

/** Adds `oriel config`. */
export function addConfig(program: Command, deps: CliDeps): void {
  program
    .command('config')
    .description('print the configuration in force, with the source of each value')
    .option('--config <file>', 'configuration (TOML)')
    .option('--json', 'print JSON')
    .action(async (options: { readonly config?: string; readonly json?: boolean }) => {
      const { text, settings } = deps.printConfig({ file: options.config });
      await report(deps, options, { json: settings, text });
    });
}
