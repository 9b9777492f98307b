/** gRPC service definitions built from descriptors, for services without generated code. */
import { create, fromBinary, toBinary, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import type { ServiceDefinition } from '@grpc/grpc-js';
import { contract } from '../contract/contract.ts';

/** Service definition for grpc-js, with messages of `@bufbuild/protobuf`. @param name - e.g. `grpc.health.v1.Health` */
export function describedService(name: string): ServiceDefinition {
  const service = contract().getService(name);
  if (service === undefined) throw new Error(`the contract has no service ${name}`);
  return Object.fromEntries(
    service.methods.map((method) => [
      method.localName,
      {
        path: `/${name}/${method.name}`,
        requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
        responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
        ...codec(method.input, 'request'),
        ...codec(method.output, 'response'),
      },
    ]),
  ) as ServiceDefinition;
}

function codec(schema: DescMessage, what: 'request' | 'response'): object {
  return {
    [`${what}Serialize`]: (message: MessageInitShape<DescMessage>) =>
      Buffer.from(toBinary(schema, create(schema, message))),
    [`${what}Deserialize`]: (bytes: Buffer) => fromBinary(schema, bytes),
  };
}
