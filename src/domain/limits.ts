/** The limits of an image service (Images API v2 §10); a negative quota means none. */
export interface Limits {
  readonly pageSizeDefault: number;
  readonly pageSizeMax: number;
  readonly imagePropertyQuota: number;
  readonly imageTagQuota: number;
  readonly imageMemberQuota: number;
  readonly imageLocationQuota: number;
  readonly imageSizeCapBytes: number;
}

/** What the operator allows images to be. */
export interface ImageRules {
  readonly limits: Limits;
  readonly diskFormats: readonly string[];
  readonly containerFormats: readonly string[];
  /** The data of a deleted image is kept for some time; absent: it is not. */
  readonly delayedDelete?: boolean;
}

/** Tells whether a count is over a quota. */
export function exceeds(count: number, quota: number): boolean {
  return quota >= 0 && count > quota;
}
