import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { ReflectionService } from '@grpc/reflection';

/** Every file of the contract as it was compiled, with all that they import, health and reflection (`npm run proto:generate`). */
const DESCRIPTORS = join(import.meta.dirname, 'generated/descriptors.binpb');

/** gRPC reflection, for tools that do not have the contract. */
export function reflectionService(): ReflectionService {
  const { file } = fromBinary(FileDescriptorSetSchema, readFileSync(DESCRIPTORS));
  const fileDescriptorProtos = file.map((one) => Buffer.from(toBinary(FileDescriptorProtoSchema, one)));
  // What proto-loader makes of a contract has other names of files than the files import; the library needs nothing else of it.
  const contract = { files: { fileDescriptorProtos } };
  return new ReflectionService(contract as unknown as ConstructorParameters<typeof ReflectionService>[0]);
}
