import type { Finding } from '../../domain/location.js';
import type { Garbage } from './catalog.js';

/** What a node found at a location. */
export interface LocationReport {
  readonly imageId: string;
  readonly locationId: string;
  /** By which the location is still the same. */
  readonly key: string;
  readonly found: Finding;
}

/** A node can do no more for the data that it has of an image. */
export interface RepairEnd {
  readonly imageId: string;
  /** The version of the image that it looked at; 0: there is no such image. */
  readonly imageVersion: number;
}

/** What a node tells the catalog's authority of its own accord. On a single node and at the authority these are use cases. */
export interface NodeCommands {
  /** Gives up an upload that was leased to this node. STATE_CONFLICT: it was committed or given up before. */
  abortUpload(lease: { readonly uploadId: string; readonly imageId: string }): Promise<void>;
  /** Forgets objects that are removed from this node's stores. */
  forgetGarbage(rows: readonly Garbage[]): Promise<void>;
  /** Tells of damage, or that there is none; true: the location is marked now. False: it is whole, another node's, which will look, or gone. */
  reportLocation(report: LocationReport): Promise<boolean>;
  /** Takes a repair off this node's list, unless the image was changed since. */
  endRepair(end: RepairEnd): Promise<void>;
}
