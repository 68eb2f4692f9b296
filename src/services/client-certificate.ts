/**
 * The common name of the client's certificate, carried from TLS to the service methods: nice-grpc shows them neither the
 * socket nor the authentication context, so an interceptor of grpc-js puts it into the metadata, from where whatever a
 * client sent under this name was removed.
 */
import { ServerInterceptingCall, type ServerInterceptor, ServerListenerBuilder } from '@grpc/grpc-js';
import type { Metadata } from 'nice-grpc-common';

const KEY = 'x-oriel-client-certificate';

/** Sets the certificate's name. TLS must have verified the certificate: the server demands one of the configured CA. */
export const clientCertificateInterceptor: ServerInterceptor = (_method, call) =>
  new ServerInterceptingCall(call, {
    start(next) {
      const listener = new ServerListenerBuilder().withOnReceiveMetadata((metadata, pass) => {
        metadata.remove(KEY);
        const commonName = call.getAuthContext().sslPeerCertificate?.subject.CN;
        if (commonName !== undefined) metadata.set(KEY, encodeURIComponent(String(commonName)));
        pass(metadata);
      });
      next(listener.build());
    },
  });

/** The name that the interceptor set, if any. */
export function clientCertificateOf(metadata: Metadata): { readonly commonName: string } | undefined {
  const name = metadata.get(KEY);
  return name === undefined ? undefined : { commonName: decodeURIComponent(name) };
}
