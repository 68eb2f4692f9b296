/** The reason inside a gRPC failure of a client that is not nice-grpc's. */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { ErrorInfo } from 'nice-grpc-error-details';

const ERROR_INFO_URL = 'type.googleapis.com/google.rpc.ErrorInfo';

/**
 * Returns the reason of the ErrorInfo in a `grpc-status-details-bin`, or undefined. The bytes are a google.rpc.Status:
 * code = 1, message = 2, details = 3, repeated google.protobuf.Any: type_url = 1, value = 2 (status.proto, any.proto).
 */
export function reasonOf(status: Uint8Array): string | undefined {
  for (const any of fieldsOf(status, 3)) {
    const [url] = fieldsOf(any, 1);
    const [value] = fieldsOf(any, 2);
    if (url === undefined || value === undefined || Buffer.from(url).toString() !== ERROR_INFO_URL) continue;
    const info = ErrorInfo.decode(value);
    if (info.domain === 'oriel') return info.reason;
  }
  return undefined;
}

/** All values of one length-delimited field. */
function fieldsOf(message: Uint8Array, field: number): Uint8Array[] {
  const reader = new BinaryReader(message);
  const values: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === field && wireType === WireType.LengthDelimited) values.push(reader.bytes());
    else reader.skip(wireType, number);
  }
  return values;
}
