/**
 * Reading the data of an image from wherever it lies: whole units of 1 MiB, each checked against the map of the file before a
 * byte of it leaves. When a location fails, stalls or gives a wrong unit, the next one goes on from that very byte.
 */
import { failedWith, ServiceError } from '../base/service-error.js';
import { UNIT_BYTES } from '../base/units.js';
import { type FileMap, verifyUnit } from '../blocks/file-map.js';
import type { Image, ImageData } from '../domain/image.js';
import type { Damage, Location } from '../domain/location.js';
import type { DamageReports } from './damage-reports.js';
import type { FailedLocations } from './failed-locations.js';
import type { FileMaps } from './file-maps.js';
import { type ReadingWay, sourceName, wayName } from './location-order.js';
import type { Log } from './log.js';
import { withIdleLimit } from './idle-limit.js';
import { openReadable, type ReadableStores } from './object-reads.js';
import type { ByteRange } from './ports/image-store.js';
import type { SourceLatency } from './source-latency.js';
import { unitsOf } from './unit-stream.js';
import { checkedFileName, type VerifiedUnits } from './verified-units.js';

/** A location may be tried again once another one got on; so many failures end a read whatever happens. */
const FAILURES_MAX = 32;

export interface ReadingContext extends ReadableStores {
  readonly failed: FailedLocations;
  readonly latency: SourceLatency;
  readonly damage: Pick<DamageReports, 'note'>;
  readonly maps: FileMaps;
  readonly verified: VerifiedUnits;
  readonly log: Log;
  /** BLAKE3 of a unit. */
  readonly unitDigest: (unit: Uint8Array) => Uint8Array;
}

export interface WantedData {
  readonly image: Image;
  readonly data: ImageData;
  readonly range: ByteRange;
  readonly signal: AbortSignal;
  /** The map of the data, for a caller who has it; absent: it is looked up. */
  readonly map?: FileMap;
}

/** A file of which units were checked before. */
interface CheckedFile {
  /** By unit, 1: checked. */
  readonly flags: Uint8Array;
  /** Whether the file is still the one that they are of. */
  isSame(): Promise<boolean>;
}

interface OpenLocation {
  readonly way: ReadingWay;
  /** How long it took to open it. */
  readonly openedInMs: number;
  readonly units: AsyncIterable<Uint8Array>;
  /** Which of them were checked before; undefined: it cannot be told. */
  readonly checked: CheckedFile | undefined;
  /** Ends what is still being read, even from a source that says nothing. */
  readonly stop: AbortController;
}

/**
 * Opens the range at the first location that has the data. UNAVAILABLE: none answers, but one may come back. DATA_CORRUPT: what
 * there is, is damaged. UPSTREAM_FAILED: no store that this node can reach has it.
 */
export async function readLocations(
  context: ReadingContext,
  order: readonly ReadingWay[],
  wanted: WantedData,
): Promise<AsyncIterable<Uint8Array>> {
  // A node that does not answer is waited for once: the map is looked for while the data is opened.
  const map = wanted.map === undefined ? context.maps.of(wanted.data) : Promise.resolve(wanted.map);
  const read = new LocationsRead(context, { order, wanted, map });
  const [opened, found] = await Promise.all([read.open(), map]);
  return read.chunks(opened, found);
}

class LocationsRead {
  readonly #context: ReadingContext;
  readonly #order: readonly ReadingWay[];
  readonly #wanted: WantedData;
  readonly #map: Promise<FileMap | null>;
  readonly #failures: unknown[] = [];
  /** Failures since the last byte came, but for the one of what had given it: that may go on when it is opened again. */
  #vain = 0;
  #nextIndex = 0;
  /** Where the next byte is that the reader gets. */
  #positionBytes: number;

  constructor(
    context: ReadingContext,
    read: {
      readonly order: readonly ReadingWay[];
      readonly wanted: WantedData;
      readonly map: Promise<FileMap | null>;
    },
  ) {
    const { order, wanted, map } = read;
    this.#context = context;
    this.#order = order;
    this.#wanted = wanted;
    this.#map = map;
    this.#positionBytes = wanted.range.offsetBytes;
  }

  get #endBytes(): number {
    const { offsetBytes, lengthBytes } = this.#wanted.range;
    return offsetBytes + lengthBytes;
  }

  /** Opens what is still wanted at the next of these locations that can. */
  async open(order = this.#order): Promise<OpenLocation> {
    for (;;) {
      const way = order[this.#nextIndex % Math.max(order.length, 1)];
      if (way === undefined || this.#vain >= order.length || this.#failures.length >= FAILURES_MAX)
        throw this.#verdict();
      this.#nextIndex += 1;
      const refusal = await this.#refusal(way.location);
      if (refusal !== undefined) {
        this.#refused(way, refusal);
        continue;
      }
      const stop = new AbortController();
      try {
        // Before the file is opened: should it be touched meanwhile, the flags are of what it was.
        const checked = await this.#checked(way);
        const { latency } = this.#context;
        const startedMs = latency.nowMs;
        const units = await this.#units(way, stop);
        return { way, openedInMs: latency.nowMs - startedMs, units, checked, stop };
      } catch (error) {
        stop.abort();
        this.#failed(way, error);
      }
    }
  }

  /**
   * Why what lies there is not served: the service did not store it, and there is nothing to check it by. What it stored itself is
   * served without its map, too: a lost map would be a lost image.
   */
  async #refusal(location: Location): Promise<ServiceError | undefined> {
    const { data, image } = this.#wanted;
    const isDamaged = location.damage === 'damaged';
    if (location.created || (data.fileMap === null && !isDamaged) || (await this.#map) !== null) return undefined;
    return isDamaged
      ? new ServiceError('DATA_CORRUPT', `location ${location.id} has other data than image ${image.id} may have`)
      : new ServiceError('UNAVAILABLE', `the map that the data of image ${image.id} is checked by cannot be read now`);
  }

  // Nothing was found out about the location or its store.
  #refused({ location }: ReadingWay, error: ServiceError): void {
    this.#failures.push(error);
    this.#vain += 1;
    const { image } = this.#wanted;
    this.#context.log.warn({ err: error, imageId: image.id, location: location.id }, 'location not read');
  }

  async *chunks(opened: OpenLocation, map: FileMap | null): AsyncGenerator<Uint8Array, void, undefined> {
    let at = opened;
    try {
      while (this.#positionBytes < this.#endBytes) {
        const fromBytes = this.#positionBytes;
        try {
          yield* this.#verified(at, map);
        } catch (error) {
          at.stop.abort();
          this.#failed(at.way, error);
          if (this.#positionBytes > fromBytes) this.#vain = 0;
          at = await this.open(this.#continuing(at.way, map));
        }
      }
    } finally {
      at.stop.abort();
    }
  }

  /**
   * Where a read may go on. Without a map nothing tells whether another location has the same bytes, unless the service wrote both: half
   * of one and half of another would be neither.
   */
  #continuing({ location }: ReadingWay, map: FileMap | null): readonly ReadingWay[] {
    if (map !== null || this.#positionBytes === this.#wanted.range.offsetBytes) return this.#order;
    return location.created ? this.#order.filter((way) => way.location.created) : [];
  }

  async #checked({ location, through }: ReadingWay): Promise<CheckedFile | undefined> {
    const { fileMap, sizeBytes } = this.#wanted.data;
    // Without a map there is nothing to check by.
    if (fileMap === null || through === 'node') return undefined;
    const store = this.#context.stores.get(location.storeId);
    const versionNow = async (): Promise<string | undefined> =>
      store?.versionOf === undefined ? undefined : withIdleLimit(store.versionOf(location.key), this.#context);
    const version = await versionNow();
    if (version === undefined) return undefined;
    const file = checkedFileName(location, version, fileMap.sha256);
    const flags = this.#context.verified.of(file, Math.ceil(sizeBytes / UNIT_BYTES));
    return { flags, isSame: async () => (await versionNow()) === version };
  }

  // Units can only be checked whole.
  async #units({ location, through }: ReadingWay, stop: AbortController): Promise<AsyncIterable<Uint8Array>> {
    const { data, signal } = this.#wanted;
    const offsetBytes = this.#positionBytes - (this.#positionBytes % UNIT_BYTES);
    const endBytes = Math.min(data.sizeBytes, Math.ceil(this.#endBytes / UNIT_BYTES) * UNIT_BYTES);
    const range = { offsetBytes, lengthBytes: Math.max(endBytes - offsetBytes, 0) };
    const either = AbortSignal.any([signal, stop.signal]);
    const source = await openReadable(this.#context, { location, sizeBytes: data.sizeBytes, through }, range, either);
    return unitsOf(source, { lengthBytes: range.lengthBytes, limit: this.#context });
  }

  async *#verified(
    { units, way, openedInMs, checked }: OpenLocation,
    map: FileMap | null,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { signal } = this.#wanted;
    const { latency } = this.#context;
    let unitIndex = Math.floor(this.#positionBytes / UNIT_BYTES);
    let waitingSinceMs: number | undefined = latency.nowMs;
    for await (const unit of units) {
      if (waitingSinceMs !== undefined) this.#answered(way, openedInMs + latency.nowMs - waitingSinceMs);
      waitingSinceMs = undefined;
      // After the unit was read: one that is of the same file as before is as it was then.
      const isSame = await checked?.isSame();
      if (map !== null && !(isSame === true && checked?.flags[unitIndex] === 1)) {
        if (!verifyUnit(map, unitIndex, unit, this.#context.unitDigest)) throw wrongUnit(way.location, unitIndex);
        if (isSame === true && checked !== undefined) checked.flags[unitIndex] = 1;
      }
      const unitBytes = unitIndex * UNIT_BYTES;
      const chunk = unit.subarray(this.#positionBytes - unitBytes, this.#endBytes - unitBytes);
      unitIndex += 1;
      // What the reader has taken counts, also when it takes no more.
      this.#positionBytes += chunk.length;
      this.#vain = 0;
      yield chunk;
      signal.throwIfAborted();
    }
  }

  #answered(way: ReadingWay, tookMs: number): void {
    const { latency, failed, stores } = this.#context;
    const source = sourceName(way, stores);
    latency.note(source, tookMs);
    failed.forget(source);
  }

  #failed(way: ReadingWay, error: unknown): void {
    const { signal, image, data } = this.#wanted;
    signal.throwIfAborted();
    const { log, failed, damage, stores } = this.#context;
    const { location, through } = way;
    failed.note(wayName(way));
    // What gives no answer for one location gives none for others.
    if (failedWith(error, 'UNAVAILABLE')) failed.note(sourceName(way, stores));
    const found = damageOf(error);
    if (found !== undefined) damage.note({ imageId: image.id, location, data }, found);
    this.#failures.push(error);
    this.#vain += 1;
    const fields = { err: error, imageId: image.id, location: location.id, store: location.storeId, through };
    const at = { ...fields, positionBytes: this.#positionBytes };
    if (failedWith(error, 'DATA_CORRUPT')) log.error(at, 'location has other data than was stored, trying the next');
    else log.warn(at, 'location not readable, trying the next');
  }

  // A node that cannot be reached may come back; an object that is nowhere will not.
  #verdict(): unknown {
    const { image } = this.#wanted;
    const unavailable = this.#failures.find((error) => failedWith(error, 'UNAVAILABLE'));
    if (unavailable !== undefined) return unavailable;
    const cause = this.#failures.at(-1);
    return failedWith(cause, 'DATA_CORRUPT')
      ? new ServiceError('DATA_CORRUPT', `The data of image ${image.id} is damaged in every store.`, { cause })
      : new ServiceError(
          'UPSTREAM_FAILED',
          `The data of image ${image.id} is not in any store that this node can reach.`,
          { cause },
        );
  }
}

// What does not answer may be whole.
function damageOf(error: unknown): Damage | undefined {
  if (failedWith(error, 'DATA_CORRUPT')) return 'damaged';
  return failedWith(error, 'NOT_FOUND') ? 'missing' : undefined;
}

function wrongUnit(location: Location, unitIndex: number): ServiceError {
  return new ServiceError('DATA_CORRUPT', `location ${location.id}: unit ${unitIndex} is not what was stored`);
}
