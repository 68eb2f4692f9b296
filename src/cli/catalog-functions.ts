/** What `oriel catalog` asks of the program's entry: work on the files of a data folder of this machine. */

/** Which data folder a command means: one named, or that of the configuration. */
export interface DataPlace {
  readonly config?: string | undefined;
  readonly data?: string | undefined;
}

/** What was found of a catalog's file. */
export interface FoundCatalog {
  readonly schemaVersion: number;
  /** Migrations that it lacks. */
  readonly pending: number;
  /** null: it is no catalog. */
  readonly position: { readonly epoch: number; readonly frame: number } | null;
  readonly images: number;
  /** Milliseconds since 1970. */
  readonly changedAtMs: number | null;
  readonly problems: readonly string[];
}

/** A catalog that was put in the place of another. */
export interface PlacedCatalog {
  readonly epoch: number;
  /** Where the old one is. */
  readonly old: string | undefined;
}

/** The functions over the catalog of a data folder. */
export interface CatalogFunctions {
  backup(place: DataPlace, to: { readonly file: string; readonly force: boolean }): FoundCatalog;
  restore(
    place: DataPlace,
    from: { readonly file: string; readonly as: 'single' | 'primary' | undefined },
  ): Promise<PlacedCatalog & { readonly as: 'single' | 'primary'; readonly backup: FoundCatalog }>;
  /** `file`: undefined: that of the data folder. */
  verify(place: DataPlace, file: string | undefined): FoundCatalog & { readonly file: string };
  /** `check`: only tells; the node may run. */
  migrate(place: DataPlace, check: boolean): Promise<{ readonly applied: number; readonly pending: readonly number[] }>;
  /** `yes`: does it; else it only tells what would be promoted. */
  promote(
    place: DataPlace,
    yes: boolean,
  ): Promise<{
    readonly copy: FoundCatalog;
    /** When the copy had all that the authority had; null: not known. */
    readonly completeAtMs: number | null;
    readonly dataDir: string;
    readonly placed: PlacedCatalog | undefined;
  }>;
}
