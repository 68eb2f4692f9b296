import type { CatalogFreshness } from './catalog-freshness.js';
import type { CatalogMethods } from './catalog-service.js';
import type { ServiceContext } from './service-context.js';

/** A catalog service that waits until it may answer, and says how new its answer is. */
export function freshCatalog(service: CatalogMethods, freshness: CatalogFreshness): CatalogMethods {
  const fresh =
    <Request, Response>(method: (request: Request, context: ServiceContext) => Promise<Response>) =>
    async (request: Request, context: ServiceContext): Promise<Response> => {
      await freshness.reach(await context.caller(), context);
      const response = await method(request, context);
      freshness.tell(context);
      return response;
    };
  return {
    createImage: fresh((request, context) => service.createImage(request, context)),
    getImage: fresh((request, context) => service.getImage(request, context)),
    listImages: fresh((request, context) => service.listImages(request, context)),
    updateImage: fresh((request, context) => service.updateImage(request, context)),
    deleteImage: fresh((request, context) => service.deleteImage(request, context)),
    deactivateImage: fresh((request, context) => service.deactivateImage(request, context)),
    reactivateImage: fresh((request, context) => service.reactivateImage(request, context)),
    addImageTag: fresh((request, context) => service.addImageTag(request, context)),
    removeImageTag: fresh((request, context) => service.removeImageTag(request, context)),
    createMember: fresh((request, context) => service.createMember(request, context)),
    getMember: fresh((request, context) => service.getMember(request, context)),
    listMembers: fresh((request, context) => service.listMembers(request, context)),
    updateMember: fresh((request, context) => service.updateMember(request, context)),
    deleteMember: fresh((request, context) => service.deleteMember(request, context)),
    beginUpload: fresh((request, context) => service.beginUpload(request, context)),
    commitUpload: fresh((request, context) => service.commitUpload(request, context)),
    abortUpload: fresh((request, context) => service.abortUpload(request, context)),
    forgetGarbage: fresh((request, context) => service.forgetGarbage(request, context)),
  };
}
