import { InterceptingCall, type Interceptor } from '@grpc/grpc-js';

/** Adds a token to every call. grpc-js sends call credentials over TLS only, and a local connection has none. */
export function bearer(token: string): Interceptor {
  return (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start: (metadata, listener, next) => {
        metadata.set('authorization', `Bearer ${token}`);
        next(metadata, listener);
      },
    });
}
