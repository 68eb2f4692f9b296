import type { ImageId, UploadId } from '../base/brand.js';

/** The uploads whose bytes are arriving at this node now. */
export class RunningUploads {
  readonly #byUpload = new Map<UploadId, { readonly imageId: string; readonly stop: AbortController }>();

  add(uploadId: UploadId, imageId: string, stop: AbortController): void {
    this.#byUpload.set(uploadId, { imageId, stop });
  }

  remove(uploadId: UploadId): void {
    this.#byUpload.delete(uploadId);
  }

  has(uploadId: UploadId): boolean {
    return this.#byUpload.has(uploadId);
  }

  get count(): number {
    return this.#byUpload.size;
  }

  /** Stops receiving data for the image, with the error as the reason. */
  stop(imageId: ImageId, error: Error): void {
    for (const upload of this.#byUpload.values()) if (upload.imageId === imageId) upload.stop.abort(error);
  }
}
