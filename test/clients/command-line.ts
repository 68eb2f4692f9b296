/** Runs the stock `openstack` and `glance` programs as one user of a real Keystone. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { cleanEnvironment } from '../support/tool.js';

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Login {
  readonly authUrl: string;
  readonly name: string;
  readonly password: string;
  readonly project: string;
  /** A folder for the caches that the clients write. */
  readonly home: string;
}

const LIMIT_MS = 60_000;

/** Ends with whatever the program says; never rejects for its exit status. */
export async function runClient(
  login: Login,
  program: 'openstack' | 'glance',
  args: readonly string[],
): Promise<Outcome> {
  // glance takes anything but a terminal or a closed stdin for the data of the image; openstack crashes on a closed one.
  const stdin = program === 'glance' ? '<&-' : '</dev/null';
  const child = spawn('/bin/sh', ['-c', `exec "$0" "$@" ${stdin}`, path.join('/usr/bin', program), ...args], {
    env: {
      ...cleanEnvironment(),
      PATH: '/usr/bin:/bin',
      HOME: login.home,
      PYTHONDONTWRITEBYTECODE: '1',
      OS_AUTH_URL: login.authUrl,
      OS_IDENTITY_API_VERSION: '3',
      OS_IMAGE_API_VERSION: '2',
      OS_USERNAME: login.name,
      OS_PASSWORD: login.password,
      OS_PROJECT_NAME: login.project,
      OS_USER_DOMAIN_ID: 'default',
      OS_PROJECT_DOMAIN_ID: 'default',
      OS_REGION_NAME: 'RegionOne',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve(status ?? -1));
  });
  return { code, stdout, stderr };
}
