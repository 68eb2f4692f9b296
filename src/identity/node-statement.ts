/**
 * What a node says of its caller to another node: who it is, signed by the node's own key and good for a minute.
 *
 *   base64url(JSON {n, k, u, p, r, s, t}) "." base64url(Ed25519 signature of the first part)
 *
 *   n node · k kind of caller · u user · p project or null · r roles · s roles of the relaying service · t when, in
 *   milliseconds of the authority's clock, because those of nodes may be hours apart
 */
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { asImageId, asNodeId, asProjectId, type NodeId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';

/** How far from now a statement may be dated, either way. */
const VALID_MS = 60_000;
const MAX_LENGTH = 64 * 1024;

/** Signs for a caller. */
export function signStatement(key: KeyObject, nodeId: NodeId, caller: Caller, nowMs: number): string {
  const { kind, userId, projectId, roles, serviceRoles } = caller;
  const said = { n: nodeId, k: kind, u: userId, p: projectId, r: [...roles], s: [...serviceRoles], t: nowMs };
  const text = Buffer.from(JSON.stringify(said)).toString('base64url');
  return `${text}.${sign(null, Buffer.from(text), key).toString('base64url')}`;
}

/** What is needed to believe a statement. */
export interface StatementChecks {
  /** The public key (PEM) of a node; undefined: not a node of this cluster. */
  keyOf(nodeId: NodeId): Promise<string | undefined>;
  /** Now, by the authority's clock. */
  nowMs(): number;
}

/** Checks statements. */
export class StatementVerifier {
  readonly #checks: StatementChecks;
  readonly #keys = new LRUCache<string, KeyObject>({ max: 1000 });

  constructor(checks: StatementChecks) {
    this.#checks = checks;
  }

  /** Returns the caller that a node vouches for. UNAUTHENTICATED: not signed by a node of this cluster, or not lately. */
  async verify(statement: string): Promise<Caller> {
    const [text = '', signature = '', ...rest] = statement.length > MAX_LENGTH ? [] : statement.split('.');
    const said = parse(text);
    if (said === undefined || rest.length > 0) throw refusal('it is malformed');
    const pem = await this.#checks.keyOf(said.nodeId);
    if (pem === undefined) throw refusal(`node ${said.nodeId} is not in the cluster`);
    let key = this.#keys.get(pem);
    if (key === undefined) this.#keys.set(pem, (key = createPublicKey(pem)));
    if (!verify(null, Buffer.from(text), key, Buffer.from(signature, 'base64url')))
      throw refusal('its signature is wrong');
    const awayMs = Math.abs(this.#checks.nowMs() - said.atMs);
    if (awayMs > VALID_MS) throw refusal(`it is dated ${Math.round(awayMs / 1000)} s away`);
    return said.caller;
  }
}

function refusal(why: string): ServiceError {
  return new ServiceError('UNAUTHENTICATED', `The statement of a node was not believed: ${why}.`);
}

interface Said {
  readonly nodeId: NodeId;
  readonly caller: Caller;
  readonly atMs: number;
}

function parse(text: string): Said | undefined {
  const fields = fieldsOf(text);
  const [n, k, u, p, r, s, t] = ['n', 'k', 'u', 'p', 'r', 's', 't'].map((name) => fields.get(name));
  if (typeof n !== 'string' || asImageId(n) === undefined || typeof u !== 'string' || typeof t !== 'number')
    return undefined;
  if (k !== 'user' && k !== 'host' && k !== 'node') return undefined;
  if ((p !== null && typeof p !== 'string') || !isTexts(r) || !isTexts(s)) return undefined;
  const nodeId = asNodeId(n);
  const projectId = p === null ? null : asProjectId(p);
  const caller: Caller = {
    kind: k,
    userId: u,
    projectId,
    roles: new Set(r),
    serviceRoles: new Set(s),
    vouchedBy: nodeId,
  };
  return { nodeId, caller, atMs: t };
}

function fieldsOf(text: string): ReadonlyMap<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    return new Map(typeof value === 'object' && value !== null ? Object.entries(value) : []);
  } catch {
    return new Map();
  }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
