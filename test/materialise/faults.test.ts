/** Images as files of a host while nodes are killed, copies are damaged and disks fill. */
import { randomBytes } from 'node:crypto';
import { lstat, mkdir, open, readdir, readFile, rm, stat, truncate } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MaterializeWay } from '../../src/gen/oriel/data/v1/data_service.js';
import { eventually } from '../support/eventually.js';
import { at, type HostNode, materialize, startHostNode } from '../support/host-files.js';
import { startObjectServer } from '../support/object-server.js';
import { tempFolder } from '../support/temp-folder.js';
import { hasTool } from '../support/tool.js';

const MIB = 1024 * 1024;
const RAW = { disk_format: 'raw', container_format: 'bare' };
