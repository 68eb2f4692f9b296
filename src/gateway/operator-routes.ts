import type { GatewayOptions } from './gateway-options.js';
import type { Route } from './route.js';

/** What operators and load balancers ask; no authentication. */
export function operatorRoutes(options: GatewayOptions): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/healthz',
      body: 'ignored',
      handle: () => ({ status: 200, body: 'OK\n', contentType: 'text/plain; charset=UTF-8' }),
    },
    {
      method: 'GET',
      path: '/readyz',
      body: 'ignored',
      async handle() {
        const { ok, parts } = await options.readyz();
        return { status: ok ? 200 : 503, body: JSON.stringify({ ready: ok, parts }) };
      },
    },
    {
      method: 'GET',
      path: '/metrics',
      body: 'ignored',
      async handle() {
        return { status: 200, body: await options.metrics(), contentType: 'text/plain; version=0.0.4; charset=utf-8' };
      },
    },
  ];
}
