/** Units that are kept in memory for whoever reads them next. */
const UNITS_MAX = 32;

/** undefined: it could not be had that way. */
type Unit = Promise<Uint8Array | undefined>;

/** The units that were read last, by name, so that readers who are close to each other share one copy and one read. */
export class UnitWindow {
  /** The least recently used first. */
  readonly #units = new Map<string, Unit>();

  /** The unit, or what is being done to get it. */
  get(name: string): Unit | undefined {
    const unit = this.#units.get(name);
    if (unit !== undefined) this.#keep(name, unit);
    return unit;
  }

  put(name: string, unit: Uint8Array): void {
    this.#keep(name, Promise.resolve(unit));
  }

  /** Loads the unit for all who ask meanwhile; what fails is forgotten. */
  load(name: string, load: () => Unit): Unit {
    const forget = (): void => {
      if (this.#units.get(name) === unit) this.#units.delete(name);
    };
    const unit: Unit = load();
    this.#keep(name, unit);
    unit.then((bytes) => {
      if (bytes === undefined) forget();
    }, forget);
    return unit;
  }

  clear(): void {
    this.#units.clear();
  }

  #keep(name: string, unit: Unit): void {
    this.#units.delete(name);
    this.#units.set(name, unit);
    const [oldest] = this.#units.keys();
    if (this.#units.size > UNITS_MAX && oldest !== undefined) this.#units.delete(oldest);
  }
}
