import { NO_CONTENT } from '../answer.js';
import type { Exchange } from '../exchange.js';
import type { Route } from '../route.js';
import type { RouteContext } from '../route-context.js';
import { requireHeaderSafe } from '../text-rules.js';

/** Tags by URL (reference §6.10). */
export function tagRoutes(context: RouteContext): readonly Route[] {
  const path = '/v2/images/:id/tags/:tag';
  const { catalog } = context.backend;
  return [
    {
      method: 'PUT',
      path,
      body: 'none',
      async handle(exchange) {
        await catalog.addImageTag(
          { imageId: exchange.param('id'), tag: tagOf(exchange), requestId: '' },
          exchange.call,
        );
        return NO_CONTENT;
      },
    },
    {
      method: 'DELETE',
      path,
      body: 'none',
      async handle(exchange) {
        const request = { imageId: exchange.param('id'), tag: tagOf(exchange), requestId: '' };
        await catalog.removeImageTag(request, exchange.call);
        return NO_CONTENT;
      },
    },
  ];
}

/** Whether a tag of a URL may hold four-byte UTF-8 is for the service to say (reference §2.1 "Text limits"). */
function tagOf(exchange: Exchange): string {
  const tag = exchange.param('tag');
  requireHeaderSafe('tag', tag);
  return tag;
}
