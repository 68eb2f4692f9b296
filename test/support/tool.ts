import { spawnSync } from 'node:child_process';

/**
 * Tells whether a program can be run. Tests of foreign clients are skipped where the client is missing; scripts/test
 * installs them when it may.
 */
export function hasTool(command: string, args: readonly string[] = ['--version']): boolean {
  return spawnSync(command, args, { stdio: 'ignore', env: cleanEnvironment() }).status === 0;
}

/** The environment without proxies, OpenStack credentials or options of a node that the person running tests may have set. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(OS_|ORIEL_)|proxy$/i.test(name));
  return { ...Object.fromEntries(kept), no_proxy: '*', NO_PROXY: '*' };
}
