/** Bytes in one MiB, the unit of hashing and transfer. */
export const MIB = 1024 * 1024;
/** Bytes of one unit of transfer, hashing and `file.map`. */
export const UNIT_BYTES = 1024 * 1024;
/** Bytes in one GiB. */
export const GIB = 1024 * MIB;
