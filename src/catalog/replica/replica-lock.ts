import Database from 'libsql';

/**
 * Lets one process at a time sync a replica: two that apply frames to one file get in each other's way. The lock is
 * SQLite's own on an empty file, so the kernel gives it back however its holder ends, and no stale one is ever left.
 */
export class ReplicaLock {
  // Held as long as the lock is: the file's descriptor is the lock.
  readonly #database: Database.Database;

  /** Throws when another process has it. */
  constructor(path: string) {
    this.#database = new Database(path);
    try {
      this.#database.exec('begin exclusive');
    } catch (error) {
      this.#database.close();
      throw new Error('another process syncs this replica', { cause: error });
    }
  }

  get held(): boolean {
    return this.#database.inTransaction;
  }
}
