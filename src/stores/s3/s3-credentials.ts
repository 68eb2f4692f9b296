import type { StoreId } from '../../base/brand.js';
import { ServiceError } from '../../base/service-error.js';
import { readSecretFile } from '../remote/secret-file.js';

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
}

/**
 * Reads the keys from a file as `aws configure` writes it (`~/.aws/credentials`): its section `[default]`, or one without
 * sections. INVALID_ARGUMENT: it cannot be read, everyone may read it, or a key is missing.
 */
export async function readS3Credentials(file: string, storeId: StoreId): Promise<S3Credentials> {
  const values = new Map<string, string>();
  let section = 'default';
  for (const line of (await readSecretFile(file, 'credentials_file', storeId)).split(/\r?\n/)) {
    section = /^\s*\[(.*)\]\s*$/.exec(line)?.[1]?.trim() ?? section;
    const [, name, value] = /^\s*(aws_\w+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (section === 'default' && name !== undefined && value !== undefined) values.set(name, value);
  }
  const needed = (name: string): string => {
    const value = values.get(name) ?? '';
    if (value !== '') return value;
    const problem = `[stores.${storeId}] credentials_file: expected a line "${name} = …" in ${file}`;
    throw new ServiceError('INVALID_ARGUMENT', problem);
  };
  return {
    accessKeyId: needed('aws_access_key_id'),
    secretAccessKey: needed('aws_secret_access_key'),
    sessionToken: values.get('aws_session_token'),
  };
}
