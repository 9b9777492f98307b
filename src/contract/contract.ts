/** The API contract as descriptors, compiled from `proto/`. */
import { readFileSync } from 'node:fs';
import { createFileRegistry, fromBinary, type DescMethod, type FileRegistry } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

let registry: FileRegistry | undefined;

/** Every message, enumeration and service of the contract. */
export function contract(): FileRegistry {
  const bytes = () => readFileSync(new URL('generated/descriptors.binpb', import.meta.url));
  return (registry ??= createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes())));
}

/** @param path - e.g. `/ridgewatch.v1.Identification/Identify` */
export function contractMethod(path: string): DescMethod {
  const [, service = '', name = ''] = path.split('/');
  const method = contract()
    .getService(service)
    ?.methods.find((one) => one.name === name);
  if (method === undefined) throw new Error(`the contract has no method ${path}`);
  return method;
}
