/**
 * The HTTP front. Fastify routes and keeps connections; everything between request and answer is ours, because the Images
 * API wants other answers than a JSON framework gives by itself (reference §12.8).
 */
import type { IncomingMessage, Server } from 'node:http';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { REASONS } from '../base/error-table.js';
import { ServiceError } from '../base/service-error.js';
import type { Answer } from './answer.js';
import { installConnectionRules } from './connection-rules.js';
import { errorAnswer } from './error-answer.js';
import { eventsRoute } from './events-route.js';
import { Exchange } from './exchange.js';
import type { GatewayBackend, GatewayOptions } from './gateway-options.js';
import { nodeBytesRoutes } from './node-bytes-routes.js';
import { nodeObjectsRoute } from './node-objects-route.js';
import { operatorRoutes } from './operator-routes.js';
import { PublicOrigin } from './public-origin.js';
import { AllowTable, type Route } from './route.js';
import type { RouteContext } from './route-context.js';
import { ClientGoneError } from './send-bytes.js';
import { sendAnswer } from './send-answer.js';
import { ServiceInfoCache } from './service-info.js';
import { TurnBudget } from './turn-budget.js';
import { v2Routes } from './v2/routes.js';
import { routedUrl, versionsAnswer } from './versions.js';

const MAX_JSON_BYTES = 1024 * 1024;
const IDLE_MS = 120_000;
const DRAIN_MS = 10_000;
const SERVICE_INFO_MAX_AGE_MS = 30_000;
/** What a connection may have buffered each way. */
const STREAM_BUFFER_BYTES = 256 * 1024;
/** Above what load balancers keep idle connections for, so that they close them and not we (60 s is usual). */
const KEEP_ALIVE_MS = 75_000;

/**
 * Our routes have no schemas: each checks what it takes (json-body.ts) and writes its own answer. Without these, Fastify
 * loads its compilers of schemas at every start, nearly half of all the code that a node would read.
 */
const NO_COMPILERS = { buildValidator: refuseSchema, buildSerializer: refuseSchema };

export interface Gateway {
  /** Starts to accept; port 0 takes a free one. Returns the address in use. */
  listen(host: string, port: number): Promise<{ readonly host: string; readonly port: number }>;
  /** Stops accepting, lets running requests finish for `drainMs`, then cuts them. */
  close(): Promise<void>;
  readonly server: Server;
}

/** Builds the gateway in front of these services. Rejects when an option makes no sense. */
export async function createGateway(backend: GatewayBackend, options: GatewayOptions): Promise<Gateway> {
  const serviceInfo = new ServiceInfoCache(backend.node, options.serviceInfoMaxAgeMs ?? SERVICE_INFO_MAX_AGE_MS);
  const idleMs = options.idleMs ?? IDLE_MS;
  const context: RouteContext = {
    backend,
    origin: new PublicOrigin(options),
    serviceInfo,
    jsonLimits: { maxBytes: options.maxJsonBytes ?? MAX_JSON_BYTES, idleMs },
    idleMs,
    log: options.log,
    endless: new Set(),
  };
  const app = createApp(options);
  const routes = [
    ...operatorRoutes(options),
    ...v2Routes(context),
    eventsRoute(context),
    ...(options.serveNodeBytes === true ? nodeBytesRoutes(context) : []),
    ...(options.nodeObjects === undefined ? [] : [nodeObjectsRoute(options.nodeObjects, idleMs)]),
  ];
  const conduct = new Conductor(context, options);
  for (const route of routes) {
    app.route({
      method: route.method,
      url: route.path,
      handler: (request, reply) => conduct.run(route, request, reply),
    });
  }
  const fallback = fallbackRoute(context, new AllowTable(routes));
  app.setNotFoundHandler((request, reply) => conduct.run(fallback, request, reply));
  installConnectionRules(app.server);
  await app.ready();
  serviceInfo.refresh();
  return gatewayOf(app, context, options);
}

function createApp(options: GatewayOptions): FastifyInstance {
  const { tls } = options;
  const common = {
    logger: false,
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    keepAliveTimeout: KEEP_ALIVE_MS,
    // An upload of 1 TiB takes hours; silence is bounded per read instead (request-body.ts).
    requestTimeout: 0,
    // At the default of 16 KiB each network read of an upload (64 KiB) stops and starts the socket; some 10 % of a PUT's time.
    http: { highWaterMark: STREAM_BUFFER_BYTES },
    schemaController: { compilersFactory: NO_COMPILERS },
    routerOptions: { caseSensitive: true, ignoreTrailingSlash: false, maxParamLength: 16_384 },
    rewriteUrl: (request: IncomingMessage) => routedUrl(request.url ?? '/', request.headers.accept),
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
      const refusal = new ServiceError('INVALID_ARGUMENT', `expected a valid URL: ${error.message}`);
      answerFrameworkError(refusal, request, reply);
    },
  } as const;
  const app: FastifyInstance =
    tls === undefined
      ? Fastify(common)
      : Fastify({
          ...common,
          https: { cert: tls.cert, key: tls.key, ...(tls.ca === undefined ? {} : { ca: tls.ca }) },
        });
  app.addHook('onRequest', (request, _reply, done) => {
    // Fastify answers 415 to types it cannot parse; which types are fine is for each route to say (§12.8 G1, G2), and
    // Exchange.contentType knows what was sent.
    if (request.raw.headers['content-type'] !== undefined) delete request.raw.headers['content-type'];
    done();
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null, undefined));
  app.setErrorHandler((error, request, reply) => answerFrameworkError(error, request, reply));
  return app;
}

function refuseSchema(): never {
  throw new Error('a route was given a schema for Fastify to compile; give the gateway the compilers then');
}

function answerFrameworkError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  void reply.hijack();
  const exchange = new Exchange(request.raw, reply.raw);
  sendAnswer(exchange, errorAnswer(error, exchange.header('accept')));
}

/** Runs one route for one request, and turns whatever comes of it into an answer. */
class Conductor {
  readonly #context: RouteContext;
  readonly #options: GatewayOptions;
  readonly #turn = new TurnBudget();

  constructor(context: RouteContext, options: GatewayOptions) {
    this.#context = context;
    this.#options = options;
  }

  run(route: Route, request: FastifyRequest, reply: FastifyReply): void {
    void reply.hijack();
    const exchange = new Exchange(request.raw, reply.raw);
    exchange.route = route.path;
    exchange.params = pathParameters(request.params);
    this.#serve(route, exchange).catch((error: unknown) => {
      this.#context.log.error({ err: error, request_id: exchange.requestId }, 'an answer could not be sent');
      exchange.response.destroy();
    });
  }

  async #serve(route: Route, exchange: Exchange): Promise<void> {
    let answer: Answer | undefined;
    if (!this.#turn.admits()) await this.#turn.turn();
    try {
      refuseEarly(route, exchange);
      answer = await route.handle(exchange);
    } catch (error) {
      answer = await this.#failure(error, route, exchange);
    }
    if (answer !== undefined) sendAnswer(exchange, answer);
    this.#options.observe?.({
      route: exchange.route,
      method: exchange.request.method ?? '',
      status: exchange.response.statusCode,
      durationMs: performance.now() - exchange.startedMs,
    });
  }

  /** The answer to a failed request; undefined when there is nobody to answer. */
  async #failure(thrown: unknown, route: Route, exchange: Exchange): Promise<Answer | undefined> {
    const error = await this.#identityFirst(thrown, exchange);
    const { response } = exchange;
    // An aborted call fails with whatever the service makes of it; nobody is there to be told.
    const gone =
      response.destroyed ||
      error instanceof ClientGoneError ||
      (error instanceof ServiceError && error.reason === 'CANCELLED');
    const status = error instanceof ServiceError ? REASONS[error.reason].http : 500;
    if (!gone && status >= 500) {
      const { requestId, trace } = exchange;
      const fields = { err: error, request_id: requestId, trace, route: route.path, method: exchange.request.method };
      // 500 is a bug or lost data; above, something that the node needs does not answer.
      if (status === 500) this.#context.log.error(fields, 'a request failed');
      else this.#context.log.warn(fields, 'a request failed');
    }
    if (gone || response.headersSent) {
      response.destroy();
      return undefined;
    }
    return errorAnswer(error, exchange.header('accept'));
  }

  /**
   * Who has no valid identity learns that before anything else (reference §8.2). A request that a service was asked about has
   * been authenticated there; one that was refused before is authenticated now.
   */
  async #identityFirst(thrown: unknown, exchange: Exchange): Promise<unknown> {
    if (exchange.askedBackend || !exchange.route.startsWith('/v2/')) return thrown;
    if (!(thrown instanceof ServiceError) || exchange.identity.refusal !== null) return thrown;
    try {
      await this.#context.backend.node.getCaller({}, exchange.call);
      return thrown;
    } catch (identityError) {
      return identityError;
    }
  }
}

function refuseEarly(route: Route, exchange: Exchange): void {
  if (exchange.identity.refusal !== null) throw exchange.identity.refusal;
  // find-my-way decodes %2F inside a parameter and lets a parameter be empty; neither is a route (§12.8 G11, G12).
  const url = exchange.request.url ?? '';
  const values = Object.values(exchange.params);
  if (values.includes('') || (values.length > 0 && url.includes('%2') && /^[^?]*%2f/i.test(url))) throw notFound(url);
  if (route.body === 'none' && exchange.declaresBody) {
    throw new ServiceError('INVALID_ARGUMENT', 'A body is not expected with this request.');
  }
}

function pathParameters(params: unknown): Readonly<Record<string, string>> {
  const parameters: Record<string, string> = {};
  if (typeof params !== 'object' || params === null) return parameters;
  for (const [name, value] of Object.entries(params)) {
    if (typeof value === 'string' && name !== '*') parameters[name] = value;
  }
  return parameters;
}

/** Everything that no route takes: version discovery, 405 with Allow, 404. */
function fallbackRoute(context: RouteContext, table: AllowTable): Route {
  return {
    method: 'GET',
    path: '/v2/*',
    body: 'ignored',
    handle(exchange) {
      const path = (exchange.request.url ?? '/').split('?', 1)[0] ?? '/';
      const allow = table.allow(path);
      if (!path.startsWith('/v2/')) exchange.route = '/*';
      if (allow !== undefined && !path.startsWith('/v2/')) throw methodNotAllowed(exchange, allow);
      if (path === '/versions' || path === '/versions/')
        return versionsAnswer(200, context.origin.of(exchange.request));
      if (path === '/v2') return { status: 302, headers: { Location: `${context.origin.of(exchange.request)}/v2/` } };
      if (!path.startsWith('/v2/')) return versionsAnswer(300, context.origin.of(exchange.request));
      if (allow === undefined) throw notFound(path);
      throw methodNotAllowed(exchange, allow);
    },
  };
}

function methodNotAllowed(exchange: Exchange, allow: string): ServiceError {
  const message = `expected ${allow}, got ${exchange.request.method ?? 'no method'}`;
  return new ServiceError('METHOD_NOT_ALLOWED', message, { details: { allow } });
}

function notFound(path: string): ServiceError {
  return new ServiceError('NOT_FOUND', `No resource at ${(path.split('?', 1)[0] ?? '').slice(0, 200)}.`);
}

function gatewayOf(app: FastifyInstance, { serviceInfo, endless }: RouteContext, options: GatewayOptions): Gateway {
  const refresh = setInterval(() => serviceInfo.refresh(), options.serviceInfoMaxAgeMs ?? SERVICE_INFO_MAX_AGE_MS);
  refresh.unref();
  return {
    server: app.server,
    async listen(host, port) {
      await app.listen({ host, port });
      const address = app.server.address();
      if (address === null || typeof address === 'string') throw new Error('expected the server to have an address');
      return { host: address.address, port: address.port };
    },
    async close() {
      clearInterval(refresh);
      for (const stream of endless) stream.abort();
      const cut = setTimeout(() => app.server.closeAllConnections(), options.drainMs ?? DRAIN_MS);
      try {
        await app.close();
      } finally {
        clearTimeout(cut);
      }
    },
  };
}
