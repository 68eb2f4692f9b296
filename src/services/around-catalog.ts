import type { CatalogFreshness } from './catalog-freshness.js';
import type { CatalogMethods } from './catalog-service.js';
import type { ServiceContext } from './service-context.js';

/** What is done around each call of a service. */
export type Around = <Response>(context: ServiceContext, call: () => Promise<Response>) => Promise<Response>;

/** A catalog service with something done around each of its calls. */
export function aroundCatalog(service: CatalogMethods, around: Around): CatalogMethods {
  const wrap =
    <Request, Response>(method: (request: Request, context: ServiceContext) => Promise<Response>) =>
    (request: Request, context: ServiceContext): Promise<Response> =>
      around(context, () => method(request, context));
  return {
    createImage: wrap((request, context) => service.createImage(request, context)),
    getImage: wrap((request, context) => service.getImage(request, context)),
    listImages: wrap((request, context) => service.listImages(request, context)),
    updateImage: wrap((request, context) => service.updateImage(request, context)),
    deleteImage: wrap((request, context) => service.deleteImage(request, context)),
    deactivateImage: wrap((request, context) => service.deactivateImage(request, context)),
    reactivateImage: wrap((request, context) => service.reactivateImage(request, context)),
    addImageTag: wrap((request, context) => service.addImageTag(request, context)),
    removeImageTag: wrap((request, context) => service.removeImageTag(request, context)),
    createMember: wrap((request, context) => service.createMember(request, context)),
    getMember: wrap((request, context) => service.getMember(request, context)),
    listMembers: wrap((request, context) => service.listMembers(request, context)),
    updateMember: wrap((request, context) => service.updateMember(request, context)),
    deleteMember: wrap((request, context) => service.deleteMember(request, context)),
    beginUpload: wrap((request, context) => service.beginUpload(request, context)),
    commitUpload: wrap((request, context) => service.commitUpload(request, context)),
    abortUpload: wrap((request, context) => service.abortUpload(request, context)),
    forgetGarbage: wrap((request, context) => service.forgetGarbage(request, context)),
  };
}

/** A catalog service that waits until it may answer, and says how new its answer is. */
export function freshCatalog(service: CatalogMethods, freshness: CatalogFreshness): CatalogMethods {
  return aroundCatalog(service, async (context, call) => {
    await freshness.reach(await context.caller(), context);
    const response = await call();
    freshness.tell(context);
    return response;
  });
}
