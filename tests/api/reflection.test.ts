/** Tools without the contract get it from the server by reflection. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { create, createFileRegistry, fromBinary, type FileRegistry } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema, type FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import {
  credentials,
  loadPackageDefinition,
  type ClientDuplexStream,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installationFolder } from '../../src/installation.ts';
import type { ApiServer } from '../../src/api/server.ts';
import { createApiServer } from './api-server.ts';

const SERVICES = [
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
  'ridgewatch.v1.Access',
  'ridgewatch.v1.Audit',
  'ridgewatch.v1.Gallery',
  'ridgewatch.v1.Identification',
  'ridgewatch.v1.Operations',
  'ridgewatch.v1.Sharing',
];
const PROTOS = join(installationFolder, 'node_modules/@grpc/reflection/build/proto/grpc/reflection');

let server: ApiServer;
let address: string;

beforeAll(async () => {
  ({ server } = createApiServer());
  address = `127.0.0.1:${await server.listen('127.0.0.1', 0, undefined)}`;
});
afterAll(() => server.stop(0));

interface Answer {
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Buffer[] };
  readonly errorResponse?: { readonly errorMessage: string };
}

/** A client of one reflection version. */
class Reflection {
  readonly #client: InstanceType<ServiceClientConstructor>;
  readonly #stream: ClientDuplexStream<object, Answer>;

  constructor(version: 'v1' | 'v1alpha') {
    const definition = loadPackageDefinition(loadSync(join(PROTOS, version, 'reflection.proto'))) as unknown as {
      grpc: { reflection: Record<string, { ServerReflection: ServiceClientConstructor }> };
    };
    const Client = definition.grpc.reflection[version]?.ServerReflection;
    if (Client === undefined) throw new Error('there is no such version');
    this.#client = new Client(address, credentials.createInsecure());
    const method = this.#client.serverReflectionInfo as unknown as () => ClientDuplexStream<object, Answer>;
    this.#stream = method.call(this.#client);
  }

  async services(): Promise<string[]> {
    const { listServicesResponse } = await this.#ask({ listServices: '' });
    return (listServicesResponse?.service ?? []).map(({ name }) => name).sort();
  }

  /** The file of a symbol and everything it imports, each requested by its name. */
  async registryOf(symbol: string): Promise<FileRegistry> {
    const found = new Map<string, FileDescriptorProto>();
    const add = async (file: FileDescriptorProto) => {
      for (const name of file.dependency) if (!found.has(name)) await add(await this.#file({ fileByFilename: name }));
      found.set(file.name, file);
    };
    await add(await this.#file({ fileContainingSymbol: symbol }));
    // Throws where a type or a file is missing.
    return createFileRegistry(create(FileDescriptorSetSchema, { file: [...found.values()] }));
  }

  async end(): Promise<void> {
    this.#stream.end();
    await once(this.#stream, 'end');
    this.#client.close();
  }

  /** The requested file only; the server may send others with it. */
  async #file(request: { fileByFilename: string } | { fileContainingSymbol: string }): Promise<FileDescriptorProto> {
    const { fileDescriptorResponse, errorResponse } = await this.#ask(request);
    const files = (fileDescriptorResponse?.fileDescriptorProto ?? []).map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    );
    const file = 'fileByFilename' in request ? files.find(({ name }) => name === request.fileByFilename) : files[0];
    if (file === undefined) throw new Error(`${JSON.stringify(request)}: ${errorResponse?.errorMessage ?? 'no file'}`);
    return file;
  }

  #ask(request: object): Promise<Answer> {
    return new Promise((resolve) => {
      this.#stream.once('data', resolve);
      this.#stream.write(request);
    });
  }
}

describe.each(['v1', 'v1alpha'] as const)('reflection %s', (version) => {
  it('lists every service, and returns each file under the name it is imported by', async () => {
    const reflection = new Reflection(version);
    expect(await reflection.services()).toEqual(SERVICES);
    for (const name of SERVICES) {
      const registry = await reflection.registryOf(name);
      expect(registry.getService(name)?.methods.length).toBeGreaterThan(0);
    }
    const registry = await reflection.registryOf('ridgewatch.v1.Identification');
    const response = registry.getMessage('ridgewatch.v1.IdentifyResponse');
    expect(response?.fields.find(({ name }) => name === 'elapsed')?.message?.typeName).toBe('google.protobuf.Duration');
    expect(registry.getMessage('ridgewatch.v1.IdentifyRequest')?.oneofs.map(({ name }) => name)).toEqual(['threshold']);
    await reflection.end();
  });
});

function find(program: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), join(homedir(), 'go/bin')];
  return folders
    .map((folder) => join(folder, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

const grpcurl = find('grpcurl');

describe.skipIf(grpcurl === undefined)(
  `grpcurl${grpcurl === undefined ? ' (skipped: it is not on the path; .ci/run installs it where there is Go)' : ''}`,
  () => {
    const run = async (...parameters: string[]) =>
      (await promisify(execFile)(grpcurl ?? '', ['-plaintext', ...parameters])).stdout;

    it('lists and describes all services', async () => {
      expect((await run(address, 'list')).trim().split('\n').sort()).toEqual(SERVICES);
      for (const name of SERVICES) expect(await run(address, 'describe', name)).toContain('service ');
      expect(await run(address, 'describe', 'ridgewatch.v1.IdentifyResponse')).toContain('.google.protobuf.Duration');
    });

    it('calls methods without a local copy of the contract', async () => {
      expect(JSON.parse(await run(address, 'ridgewatch.v1.Operations/GetStatus'))).toMatchObject({ detail: 'served' });
      expect(JSON.parse(await run(address, 'grpc.health.v1.Health/Check'))).toEqual({ status: 'NOT_SERVING' });
    });
  },
);
