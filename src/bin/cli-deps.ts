import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { usageError } from '../base/service-error.js';
import { namingLater } from '../base/system-error.js';
import type { CliDeps, TokenFilePlace } from '../cli/deps.js';
import { type LoadedConfig, loadConfig } from '../config/load-config.js';
import { printConfig, describeConfig } from '../config/print-config.js';
import { parseDurationMs } from '../config/units.js';
import { createToken, readTokenFile, revokeToken } from '../identity/token-file.js';
import { packageVersion } from './package-version.js';

/** Hands the command line what it may not reach for itself: environment, configuration, token file, streams. */
export function cliDeps(env: CliDeps['env'], signal: AbortSignal): CliDeps {
  const load = (given: { readonly config?: string | undefined; readonly data?: string | undefined }): LoadedConfig =>
    loadConfig({ file: given.config, env, flags: { data: given.data }, processors: availableParallelism() });
  const fileOf = (place: TokenFilePlace): string => place.file ?? load(place).config.auth.token.file;
  return {
    version: packageVersion(),
    ...{ env, signal, stdin: process.stdin, stdout: process.stdout, stderr: process.stderr },
    protoDir: fileURLToPath(new URL('../../../proto', import.meta.url)),
    tokens: {
      create: async (place, { user, project, roles, expiresAfter }) => {
        const createdAtMs = Date.now();
        const expiresAtMs = expiresAfter === null ? null : createdAtMs + durationOf(expiresAfter);
        const file = fileOf(place);
        return namingLater(`token file ${file}`, () =>
          createToken(file, { user, project, roles, createdAtMs, expiresAtMs }),
        );
      },
      list: async (place) => readTokenFile(fileOf(place)),
      revoke: async (place, id) => revokeToken(fileOf(place), id),
    },
    catalog: async () => {
      const { catalogFunctions } = await import('./catalog-upkeep.js');
      return catalogFunctions((place) => load(place).config.node.dataDir);
    },
    printConfig: ({ file }) => {
      const { settings } = load({ config: file });
      return { text: printConfig(settings), settings: describeConfig(settings) };
    },
  };
}

function durationOf(text: string): number {
  const durationMs = parseDurationMs(text);
  if (durationMs === undefined)
    throw usageError(`--expires: expected a duration such as 30d or 12h, got ${JSON.stringify(text)}`);
  return durationMs;
}
