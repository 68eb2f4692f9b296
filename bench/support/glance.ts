/**
 * The peer: Debian's Glance (package glance-api), one worker, SQLite without fsync, a file store, on a free port. It trusts
 * identity headers, so that neither side pays for tokens.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { eventually } from '../../test/support/eventually.js';
import { freePort } from '../../test/support/free-port.js';
import { REPOSITORY } from '../../test/support/repository.js';
import { tempFolder } from '../../test/support/temp-folder.js';
import { cleanEnvironment } from '../../test/support/tool.js';

export interface PeerServer {
  readonly url: string;
  stop(): Promise<void>;
}

const PASTE = `[pipeline:glance-api-trusted]
pipeline = healthcheck http_proxy_to_wsgi versionnegotiation trusted context rootapp
[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app
[app:apiversions]
paste.app_factory = glance.api.versions:create_resource
[app:apiv2app]
paste.app_factory = glance.api.v2.router:API.factory
[filter:healthcheck]
paste.filter_factory = oslo_middleware:Healthcheck.factory
[filter:versionnegotiation]
paste.filter_factory = glance.api.middleware.version_negotiation:VersionNegotiationFilter.factory
[filter:context]
paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory
[filter:trusted]
paste.filter_factory = bench_identity:factory
[filter:http_proxy_to_wsgi]
paste.filter_factory = oslo_middleware:HTTPProxyToWSGI.factory
`;

/** Starts it on a fresh database. */
export async function startGlance(): Promise<PeerServer> {
  const folder = await tempFolder('glance');
  const port = await freePort();
  const config = writeConfig(folder.path, port);
  // Debian's Python, whatever another one stands before it in PATH.
  const env = {
    ...cleanEnvironment(),
    PATH: '/usr/bin:/bin:/usr/sbin:/sbin',
    PYTHONPATH: path.join(REPOSITORY, 'bench/support'),
    PYTHONDONTWRITEBYTECODE: '1',
  };
  await promisify(execFile)('/usr/bin/glance-manage', ['--config-file', config, 'db_sync'], { env, cwd: folder.path });
  const logFile = path.join(folder.path, 'log');
  const log = openSync(logFile, 'a');
  const child = spawn('/usr/bin/glance-api', ['--config-file', config], {
    env,
    cwd: folder.path,
    stdio: ['ignore', log, log],
  });
  const url = `http://127.0.0.1:${port}`;
  const stop = async (): Promise<void> => {
    if (child.exitCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    }
    await folder.remove();
  };
  const healthy = () =>
    fetch(`${url}/healthcheck`).then(
      (answer) => answer.ok,
      () => false,
    );
  try {
    await eventually(healthy, (ok) => ok || child.exitCode !== null);
    if (child.exitCode !== null) throw new Error(readFileSync(logFile, 'utf8').slice(-2000));
  } catch (error) {
    await stop();
    throw new Error(`Glance did not start: ${String(error)}`, { cause: error });
  }
  return { url, stop };
}

function writeConfig(folder: string, port: number): string {
  for (const name of ['images', 'staging', 'tasks', 'lock', 'policy.d']) mkdirSync(path.join(folder, name));
  writeFileSync(path.join(folder, 'paste.ini'), PASTE);
  const file = path.join(folder, 'glance-api.conf');
  writeFileSync(
    file,
    `[DEFAULT]
bind_host = 127.0.0.1
bind_port = ${port}
workers = 0
use_stderr = true
enabled_backends = images:file
[database]
connection = sqlite:///${folder}/glance.db
sqlite_synchronous = false
[glance_store]
default_backend = images
[images]
filesystem_store_datadir = ${folder}/images
[os_glance_staging_store]
filesystem_store_datadir = ${folder}/staging
[os_glance_tasks_store]
filesystem_store_datadir = ${folder}/tasks
[paste_deploy]
flavor = trusted
config_file = ${folder}/paste.ini
[oslo_policy]
policy_dirs = ${folder}/policy.d
enforce_scope = false
enforce_new_defaults = false
[oslo_concurrency]
lock_path = ${folder}/lock
`,
  );
  return file;
}
