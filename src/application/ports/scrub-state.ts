import type { ImageId } from '../../base/brand.js';

/** What a node remembers of checking what it keeps, over restarts. */
export interface ScrubState {
  /** When the pass began, in milliseconds since 1970; 0: none has. */
  readonly passStartedAtMs: number;
  /** The pass is under way and has done the images up to this one; '': none yet. null: no pass is under way. */
  readonly after: ImageId | '' | null;
  /** When objects were first seen that nothing names, by store and key. */
  readonly orphans: ReadonlyMap<string, number>;
}

/** Keeps it; a state that is lost or cannot be read is that of a node that starts anew. */
export interface ScrubStateFile {
  load(): Promise<ScrubState>;
  save(state: ScrubState): Promise<void>;
}
