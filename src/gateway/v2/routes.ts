import type { Route } from '../route.js';
import type { RouteContext } from '../route-context.js';
import { cacheRoutes } from './cache-routes.js';
import { fileRoutes } from './file-routes.js';
import { imageRoutes } from './image-routes.js';
import { infoRoutes } from './info-routes.js';
import { locationRoutes } from './location-routes.js';
import { memberRoutes } from './member-routes.js';
import { tagRoutes } from './tag-routes.js';

/** The route table of version 2 (reference §5). */
export function v2Routes(context: RouteContext): readonly Route[] {
  return [
    ...imageRoutes(context),
    ...fileRoutes(context),
    ...locationRoutes(context),
    ...tagRoutes(context),
    ...memberRoutes(context),
    ...infoRoutes(context),
    ...cacheRoutes(context),
  ];
}
