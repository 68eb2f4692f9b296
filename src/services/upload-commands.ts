import type { NodeId } from '../base/brand.js';
import { asUploadId } from '../base/brand.js';
import { assert } from '../base/assert.js';
import type { UploadCommands } from '../application/ports/upload-commands.js';
import type { CatalogService } from './catalog-service.js';
import type { Image as ImageMessage } from '../gen/oriel/catalog/v1/image.js';
import type { ServiceContext } from './service-context.js';
import { commitMessageOf } from './upload-message.js';

/** The part of the catalog's interface that a node uses for uploads; a client of a remote catalog has it, too. */
export type UploadMethods = Pick<CatalogService, 'beginUpload' | 'commitUpload' | 'abortUpload'>;

type BeginRequest = Parameters<UploadCommands<ImageMessage>['begin']>[0];
type CommitRequest = Parameters<UploadCommands<ImageMessage>['commit']>[0];

/** Sends the commands of one caller's upload to the catalog, as this node. */
export function uploadCommands(
  catalog: UploadMethods,
  nodeId: NodeId,
  callerContext: ServiceContext,
): UploadCommands<ImageMessage> {
  // The caller may go away while the upload is being given up, so its signal does not count here.
  const context: ServiceContext = {
    signal: new AbortController().signal,
    caller: async () => ({ ...(await callerContext.caller()), vouchedBy: nodeId }),
    trace: callerContext.trace,
    minPosition: undefined,
    answeredAt: (freshness) => callerContext.answeredAt(freshness),
  };
  return {
    async begin(request: BeginRequest) {
      const { declaredSizeBytes, replaces = '' } = request;
      const begun = await catalog.beginUpload(
        {
          imageId: request.imageId,
          nodeId,
          store: request.storeId,
          declaredSize: declaredSizeBytes === undefined ? undefined : BigInt(declaredSizeBytes),
          copy: request.copy,
          replaces,
        },
        context,
      );
      return {
        uploadId: asUploadId(begun.uploadId),
        diskFormat: begun.image?.diskFormat ?? '',
        containerFormat: begun.image?.containerFormat ?? '',
        maxSizeBytes: Number(begun.maxSize),
      };
    },
    async commit({ imageId, uploadId, data, replaces = '' }: CommitRequest) {
      const { image } = await catalog.commitUpload(commitMessageOf({ imageId, uploadId, replaces }, data), context);
      assert(image !== undefined, 'CommitUpload returns the image');
      return image;
    },
    async abort(lease: Pick<CommitRequest, 'imageId' | 'uploadId'>) {
      await catalog.abortUpload(lease, context);
    },
  };
}
