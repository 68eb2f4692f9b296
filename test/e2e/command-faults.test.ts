/** What the program says, and with which code it ends, when it cannot do what its command line asks; on real processes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { startNode, type TestNode } from '../support/node.js';
import { runOriel } from '../support/oriel-command.js';
import { ORIEL_PROGRAM } from '../support/repository.js';
import { RestClient } from '../support/rest-client.js';
import { tempFolder } from '../support/temp-folder.js';
import { cleanEnvironment } from '../support/tool.js';

let folder: Awaited<ReturnType<typeof tempFolder>>;
let taken: Server;
let takenAddress: string;
let node: TestNode;
beforeAll(async () => {
  folder = await tempFolder('command-faults');
  taken = createServer((connection) => connection.destroy()).listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const address = taken.address();
  takenAddress = `127.0.0.1:${address === null || typeof address === 'string' ? 0 : address.port}`;
  node = await startNode();
}, 60_000);
afterAll(async () => {
  await node.stop();
  taken.close();
  await folder.remove();
}, 60_000);

const inFolder = (name: string): string => path.join(folder.path, name);

/** `serve` on free ports, unless `args` say otherwise: the last one counts. */
const serve = (...args: readonly string[]): readonly string[] => {
  const free = ['--http', '127.0.0.1:0', '--grpc', '127.0.0.1:0', '--data', inFolder('data'), '--auth', 'none'];
  return ['serve', ...free, '--log-level', 'error', ...args];
};

/** Runs it and returns the one line that it says. */
async function lineOf(args: readonly string[], code: number): Promise<string> {
  const run = await runOriel(args);
  expect([args, run.code, run.stderr.trimEnd().split('\n').length, run.stderr]).toEqual([
    args,
    code,
    1,
    expect.stringMatching(/^oriel: /),
  ]);
  return run.stderr;
}

describe('a start', () => {
  it('says in one line which address cannot be listened on, and why', async () => {
    expect(await lineOf(serve('--grpc', takenAddress), 1)).toContain(
      `--grpc ${takenAddress}: EADDRINUSE: another program`,
    );
    expect(await lineOf(serve('--http', takenAddress), 1)).toContain(
      `--http ${takenAddress}: EADDRINUSE: another program`,
    );
    const gateway = ['gateway', '--http', takenAddress, '--log-level', 'error'];
    const behind = ['--node', node.grpcAddress, '--node-http', node.httpUrl];
    expect(await lineOf([...gateway, ...behind], 1)).toContain(`--http ${takenAddress}: EADDRINUSE`);
    expect(await lineOf(serve('--socket', '/proc/none/x.sock'), 1)).toContain('--socket /proc/none/x.sock: ENOENT');
    expect(await lineOf(serve('--socket', `/tmp/${'a'.repeat(120)}`), 1)).toContain('at most 107 bytes');
  }, 120_000);

  it('names the file of a certificate that cannot be used', async () => {
    const config = (cert: string): string => {
      const file = inFolder('tls.toml');
      writeFileSync(file, `[tls]\ncert_file = "${cert}"\nkey_file = "${cert}"\n`);
      return file;
    };
    expect(await lineOf(serve('--config', config('/none.pem')), 1)).toContain('[tls] cert_file /none.pem: ENOENT');
    expect(await lineOf(serve('--config', config(folder.path)), 1)).toContain(`cert_file ${folder.path}: EISDIR`);
    const bad = inFolder('bad.pem');
    writeFileSync(bad, 'no PEM');
    expect(await lineOf(serve('--config', config(bad)), 1)).toContain(`[tls] cert_file ${bad}`);
  }, 120_000);

  it('does not hang where no folder can be made', async () => {
    expect(await lineOf(['cluster', 'init', '--dir', '/proc/none', '--node', 'a=127.0.0.1'], 1)).toContain(
      '--dir /proc/none: ENOENT',
    );
  }, 120_000);

  it('ends with 2 for a wrong command line', async () => {
    const wrong = [
      ['gateway'],
      ['gateway', '--node', '127.0.0.1:1', '--node-http', 'foo'],
      ['cluster', 'init'],
      ['cluster', 'init', '--dir', inFolder('none')],
      ['cluster', 'dev', '--nodes', 'x'],
      ['primary', '--data', inFolder('primary'), '--sqld-port', 'x'],
      ['token', 'create', '--user', 'u', '--expires', 'foo', '--file', inFolder('tokens')],
    ];
    for (const args of wrong) await lineOf(args, 2);
  }, 120_000);
});

describe('files of this machine', () => {
  it('are named, with what to do, when they cannot be used', async () => {
    const none = inFolder('none');
    mkdirSync(inFolder('folder'));
    expect(await lineOf(['token', 'create', '--user', 'u', '--file', `${none}/t`], 1)).toContain(`${none}/t: ENOENT`);
    expect(await lineOf(['cluster', 'init', '--key', `${none}/k`], 1)).toContain(`${none}/k: ENOENT: there is no`);
    expect(await lineOf(['catalog', 'backup', `${none}/b`, '--data', node.dataDir], 1)).toContain(`no folder ${none}`);
    expect(await lineOf(['catalog', 'verify', inFolder('folder')], 1)).toContain('is a folder');
  }, 120_000);
});

describe('a command that talks to a node', () => {
  it('says what else may listen at the address', async () => {
    const http = node.httpUrl.replace('http://', '');
    expect(await lineOf(['image', 'list', '--node', http], 1)).toContain('port of the Images API');
    const key = inFolder('cluster');
    await runOriel(['cluster', 'init', '--dir', key, '--node', 'n=127.0.0.1']);
    const tls = ['image', 'list', '--node', node.grpcAddress, '--ca', path.join(key, 'ca.pem')];
    expect(await lineOf(tls, 1)).toContain('leave --ca out');
  }, 120_000);

  it('ends with 130 at a SIGINT, and leaves no image behind', async () => {
    const rest = new RestClient(node.httpUrl);
    const names = async (): Promise<string> => (await rest.call('GET', '/v2/images')).text;
    const args = ['image', 'create', 'interrupted', '--file', '-', '--node', node.grpcAddress];
    const child = spawn(process.execPath, [ORIEL_PROGRAM, ...args], {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: cleanEnvironment(),
    });
    const said = stderrOf(child);
    child.stdin.write(Buffer.alloc(4096));
    await eventually(names, (text) => text.includes('"saving"'));
    child.kill('SIGINT');
    await once(child, 'close');
    expect([child.exitCode, said()]).toEqual([130, 'oriel: interrupted\n']);
    expect(await names()).not.toContain('"interrupted"');
  }, 120_000);
});

function stderrOf(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (more: string) => (text += more));
  return () => text;
}
