import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ServiceError, usageError } from '../base/service-error.js';
import { namingLater, systemError } from '../base/system-error.js';
import { makeFolder } from '../hostfs/folder.js';
import { type CertifiedKey, newClusterAuthority, newNodeCertificate } from '../identity/cluster-certificates.js';
import { newClusterKey } from '../identity/cluster-key.js';

const SECRET = 0o600;
const PUBLIC = 0o644;

/** A node that gets a certificate. */
export interface NewNode {
  readonly name: string;
  /** Names and addresses by which others reach it. */
  readonly hosts: readonly string[];
}

/** Makes the key of a cluster. ALREADY_EXISTS: the file is there; a key is never replaced, or the nodes would be strangers. */
export function writeClusterKey(file: string): void {
  writeNew(file, newClusterKey(), SECRET);
}

/**
 * Makes a cluster's key and its authority of certificates where the folder has none, and a folder for each node with all
 * that it needs. Called again, it adds nodes. Returns the folders.
 *
 * @throws ServiceError ALREADY_EXISTS when a node has a folder, INVALID_ARGUMENT for a host that is none.
 */
export async function writeClusterFiles(directory: string, nodes: readonly NewNode[]): Promise<readonly string[]> {
  for (const { name } of nodes)
    if (existsSync(join(directory, name)))
      throw new ServiceError('ALREADY_EXISTS', `${join(directory, name)} exists: remove it to make a new certificate`);
  await namingLater(`--dir ${directory}`, () => makeFolder(directory, 0o700));
  const keyFile = join(directory, 'cluster.key');
  if (!existsSync(keyFile)) writeClusterKey(keyFile);
  const authority = await authorityIn(directory);
  const folders: string[] = [];
  for (const node of nodes) {
    const { certificate, privateKey } = await newNodeCertificate(authority, node, Date.now());
    const folder = join(directory, node.name);
    mkdirSync(folder, { mode: 0o700 });
    writeNew(join(folder, 'cluster.key'), readFileSync(keyFile, 'utf8'), SECRET);
    writeNew(join(folder, 'ca.pem'), authority.certificate, PUBLIC);
    writeNew(join(folder, 'cert.pem'), certificate, PUBLIC);
    writeNew(join(folder, 'key.pem'), privateKey, SECRET);
    folders.push(folder);
  }
  return folders;
}

/** Reads `--node NAME=HOST[,HOST…]`. @throws ServiceError INVALID_ARGUMENT */
export function newNodeOf(text: string): NewNode {
  const [, name, hosts] = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,63})=([^=]+)$/.exec(text) ?? [];
  if (name === undefined || hosts === undefined)
    throw usageError(
      `--node: expected NAME=HOST[,HOST…] such as paris=10.0.1.1,paris.example.org, found ${JSON.stringify(text)}`,
    );
  return { name, hosts: hosts.split(',').map((host) => host.trim()) };
}

async function authorityIn(directory: string): Promise<CertifiedKey> {
  const [certificateFile, keyFile] = [join(directory, 'ca.pem'), join(directory, 'ca-key.pem')];
  if (!existsSync(certificateFile) && !existsSync(keyFile)) {
    const made = await newClusterAuthority(Date.now());
    writeNew(keyFile, made.privateKey, SECRET);
    writeNew(certificateFile, made.certificate, PUBLIC);
    return made;
  }
  return { certificate: readFileSync(certificateFile, 'utf8'), privateKey: readFileSync(keyFile, 'utf8') };
}

function writeNew(file: string, text: string, mode: number): void {
  try {
    writeFileSync(file, text, { mode, flag: 'wx' });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw systemError(file, error);
    throw new ServiceError('ALREADY_EXISTS', `${file} exists: a key is not replaced; name another file`);
  }
}
