import type { ImageId, UploadId } from '../base/brand.js';

/** The uploads whose bytes are arriving at this node now. */
export class RunningUploads {
  readonly #byUpload = new Map<UploadId, { readonly imageId: string; readonly stop: AbortController }>();

  /** Images whose upload is being leased: the lease may be seen in the catalog before its upload is known here. */
  readonly #beginning = new Map<string, number>();

  /** Says that an upload of the image is about to be leased; `leased` takes it back. */
  beginning(imageId: string): { leased(): void } {
    this.#beginning.set(imageId, (this.#beginning.get(imageId) ?? 0) + 1);
    return {
      leased: () => {
        const others = (this.#beginning.get(imageId) ?? 1) - 1;
        if (others === 0) this.#beginning.delete(imageId);
        else this.#beginning.set(imageId, others);
      },
    };
  }

  add(uploadId: UploadId, imageId: string, stop: AbortController): void {
    this.#byUpload.set(uploadId, { imageId, stop });
  }

  remove(uploadId: UploadId): void {
    this.#byUpload.delete(uploadId);
  }

  /** Tells whether the leased upload arrives here, or may be about to. */
  has({ uploadId, imageId }: { readonly uploadId: UploadId; readonly imageId: string }): boolean {
    return this.#byUpload.has(uploadId) || this.#beginning.has(imageId);
  }

  get count(): number {
    return this.#byUpload.size;
  }

  /** Stops receiving data for the image, with the error as the reason. */
  stop(imageId: ImageId, error: Error): void {
    for (const upload of this.#byUpload.values()) if (upload.imageId === imageId) upload.stop.abort(error);
  }
}
