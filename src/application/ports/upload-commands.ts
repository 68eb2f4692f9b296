import type { StoreId, UploadId } from '../../base/brand.js';
import type { ImageData } from '../../domain/image.js';

/**
 * The commands of an upload as the node that has the bytes sends them to the catalog's authority, on behalf of one caller.
 * Reasons: see `application/upload-lease.ts`.
 */
export interface UploadCommands<Result> {
  begin(request: {
    readonly imageId: string;
    readonly storeId: StoreId;
    readonly declaredSizeBytes: number | undefined;
    /** It is a copy of an active image into another store. */
    readonly copy: boolean;
    /** The copy takes the place of this location, which is damaged. */
    readonly replaces?: string;
  }): Promise<{
    readonly uploadId: UploadId;
    readonly diskFormat: string;
    readonly containerFormat: string;
    readonly maxSizeBytes: number;
  }>;
  commit(request: {
    readonly imageId: string;
    readonly uploadId: UploadId;
    readonly data: ImageData;
    readonly replaces?: string;
  }): Promise<Result>;
  abort(request: { readonly imageId: string; readonly uploadId: UploadId }): Promise<void>;
}
