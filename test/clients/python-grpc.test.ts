import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { startNode } from '../support/node.js';
import { REPOSITORY } from '../support/repository.js';
import { tempFolder } from '../support/temp-folder.js';
import { cleanEnvironment, hasTool } from '../support/tool.js';

const PYTHON = '/usr/bin/python3';

const available =
  hasTool(PYTHON, ['-c', 'import grpc, grpc_tools, google.protobuf']) &&
  hasTool('protoc') &&
  hasTool('which', ['grpc_python_plugin']);

describe.skipIf(!available)('Python grpcio', () => {
  it('creates, uploads, lists, downloads and deletes with code made from proto/', async () => {
    const scratch = await tempFolder('grpcio');
    const node = await startNode();
    try {
      const script = path.join(REPOSITORY, 'test/clients/grpc_client.py');
      const args = [script, node.grpcAddress, path.join(REPOSITORY, 'proto'), scratch.path];
      const { stdout } = await promisify(execFile)(PYTHON, args, { env: cleanEnvironment(), timeout: 120_000 });
      expect(stdout.trim()).toBe('done');
    } finally {
      await node.stop();
      await scratch.remove();
    }
  }, 150_000);
});
