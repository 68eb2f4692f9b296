import type { Caller } from '../domain/caller.js';
import { authorize } from '../domain/policy.js';
import {
  CallerKind,
  type GetCallerRequest,
  type GetCallerResponse,
  type GetNodeStatusRequest,
  type GetNodeStatusResponse,
  type GetServiceInfoResponse,
  type PartStatus,
} from '../gen/oriel/node/v1/node_service.js';
import type { ServiceContext } from './service-context.js';

export interface NodeFacts {
  readonly nodeId: string;
  readonly site: string;
  readonly version: string;
  readonly startedAtMs: number;
  readonly info: GetServiceInfoResponse;
  /** The state of each part, asked anew each time. */
  parts(): Promise<readonly PartStatus[]>;
}

const KINDS = {
  user: CallerKind.USER,
  host: CallerKind.HOST,
  node: CallerKind.UNSPECIFIED,
} as const satisfies Record<Caller['kind'], CallerKind>;

/** The node service: what this node is, and who the caller is. */
export class NodeService {
  readonly #facts: NodeFacts;

  constructor(facts: NodeFacts) {
    this.#facts = facts;
  }

  async getNodeStatus(_request: GetNodeStatusRequest, context: ServiceContext): Promise<GetNodeStatusResponse> {
    const caller = await context.caller();
    authorize('get_images', caller, { owner: caller.projectId });
    const parts = await this.#facts.parts();
    return {
      nodeId: this.#facts.nodeId,
      site: this.#facts.site,
      version: this.#facts.version,
      startedAt: new Date(this.#facts.startedAtMs),
      ready: parts.every(({ ok }) => ok),
      parts: [...parts],
    };
  }

  /** Needs no credentials: it says nothing of any image, and a gateway asks it before it has a caller. */
  async getServiceInfo(): Promise<GetServiceInfoResponse> {
    return Promise.resolve(this.#facts.info);
  }

  async getCaller(_request: GetCallerRequest, context: ServiceContext): Promise<GetCallerResponse> {
    const { kind, userId, projectId, roles } = await context.caller();
    return { kind: KINDS[kind], userId, projectId: projectId ?? '', roles: [...roles] };
  }
}
