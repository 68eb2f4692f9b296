import type { CatalogFreshness } from './catalog-freshness.js';
import type { CatalogMethods } from './catalog-service.js';
import type { ServiceContext } from './service-context.js';

/**
 * A catalog service that waits until it may answer, and says how new its answer is. `held`: what an answer to a change waits
 * for besides.
 */
export function freshCatalog(
  service: CatalogMethods,
  freshness: CatalogFreshness,
  held: (() => Promise<void>) | null = null,
): CatalogMethods {
  const fresh =
    <Request, Response>(method: (request: Request, context: ServiceContext) => Promise<Response>) =>
    async (request: Request, context: ServiceContext): Promise<Response> => {
      await freshness.reach(await context.caller(), context);
      const response = await method(request, context);
      freshness.tell(context);
      return response;
    };
  // A request that is sent again changes nothing, and waits for what it changed the first time.
  const durable =
    <Request, Response>(method: (request: Request, context: ServiceContext) => Promise<Response>) =>
    async (request: Request, context: ServiceContext): Promise<Response> => {
      const response = await method(request, context);
      await held?.();
      return response;
    };
  const change = <Request, Response>(method: (request: Request, context: ServiceContext) => Promise<Response>) =>
    fresh(durable(method));
  return {
    createImage: change((request, context) => service.createImage(request, context)),
    getImage: fresh((request, context) => service.getImage(request, context)),
    listImages: fresh((request, context) => service.listImages(request, context)),
    updateImage: change((request, context) => service.updateImage(request, context)),
    deleteImage: change((request, context) => service.deleteImage(request, context)),
    deactivateImage: change((request, context) => service.deactivateImage(request, context)),
    reactivateImage: change((request, context) => service.reactivateImage(request, context)),
    addImageTag: change((request, context) => service.addImageTag(request, context)),
    removeImageTag: change((request, context) => service.removeImageTag(request, context)),
    createMember: change((request, context) => service.createMember(request, context)),
    getMember: fresh((request, context) => service.getMember(request, context)),
    listMembers: fresh((request, context) => service.listMembers(request, context)),
    updateMember: change((request, context) => service.updateMember(request, context)),
    deleteMember: change((request, context) => service.deleteMember(request, context)),
    listImageLocations: fresh((request, context) => service.listImageLocations(request, context)),
    addImageLocation: change((request, context) => service.addImageLocation(request, context)),
    removeImageFromStore: change((request, context) => service.removeImageFromStore(request, context)),
    // A lease needs no copy: what is lost with the authority is an upload that has not ended.
    beginUpload: fresh((request, context) => service.beginUpload(request, context)),
    commitUpload: change((request, context) => service.commitUpload(request, context)),
    abortUpload: fresh((request, context) => service.abortUpload(request, context)),
    forgetGarbage: change((request, context) => service.forgetGarbage(request, context)),
    repairImage: change((request, context) => service.repairImage(request, context)),
    restoreImage: change((request, context) => service.restoreImage(request, context)),
    // What is lost with the authority is found again.
    reportLocation: fresh((request, context) => service.reportLocation(request, context)),
    endImageRepair: fresh((request, context) => service.endImageRepair(request, context)),
  };
}
