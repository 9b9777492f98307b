/** gRPC server reflection, for tools that do not have the contract. */
import { toBinary, type DescFile, type DescMessage } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { type ServerDuplexStream, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { asFailure, Failure } from '../failure.ts';
import { contract } from '../contract/contract.ts';
import { admissionOf } from './caller-gate.ts';
import { toServiceError, toStatus } from './status.ts';
import { answerTo, requestOf, type WireRequest } from './wire-request.ts';

/** Two versions of the protocol that differ only in name. */
export const REFLECTION_SERVICES = [
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
] as const;

type Question =
  | { readonly case: 'listServices' | 'fileByFilename' | 'fileContainingSymbol'; readonly value: string }
  | { readonly case: 'allExtensionNumbersOfType'; readonly value: string }
  | {
      readonly case: 'fileContainingExtension';
      readonly value: { readonly containingType: string; readonly extensionNumber: number };
    };

/** `ServerReflectionRequest` */
interface Request {
  readonly host: string;
  readonly messageRequest: Question | { readonly case: undefined };
}
type Answer =
  | { readonly case: 'listServicesResponse'; readonly value: { readonly service: readonly { name: string }[] } }
  | { readonly case: 'fileDescriptorResponse'; readonly value: { readonly fileDescriptorProto: Uint8Array[] } }
  | {
      readonly case: 'allExtensionNumbersResponse';
      readonly value: { readonly baseTypeName: string; readonly extensionNumber: number[] };
    }
  | { readonly case: 'errorResponse'; readonly value: { readonly errorCode: number; readonly errorMessage: string } };
/** `ServerReflectionResponse` */
interface Response {
  readonly validHost: string;
  readonly originalRequest: Request;
  readonly messageResponse: Answer;
}
type Stream = ServerDuplexStream<Request | WireRequest<Request, Response>, Response>;

/** Serves the descriptors of the contract, with all imported files. */
export class Reflection {
  readonly #files: ReadonlyMap<string, DescFile>;
  readonly #symbols: ReadonlyMap<string, DescFile>;
  readonly #encoded: ReadonlyMap<DescFile, Uint8Array>;
  readonly #refused: (failure: Failure) => void;

  /** @param refused - called with each refusal, including those sent as an error response */
  constructor(refused: (failure: Failure) => void) {
    const files = [...contract().files];
    this.#files = new Map(files.map((file) => [file.proto.name, file]));
    this.#symbols = new Map(files.flatMap((file) => symbolsOf(file).map((name) => [name, file])));
    this.#encoded = new Map(files.map((file) => [file, toBinary(FileDescriptorProtoSchema, file.proto)]));
    this.#refused = refused;
  }

  /** Handlers by method name, for grpc-js. */
  get implementation(): UntypedServiceImplementation {
    return { serverReflectionInfo: (stream: Stream) => this.#answerAll(stream) };
  }

  #answerAll(stream: Stream): void {
    stream.on('data', (message: Request | WireRequest<Request, Response>) => {
      if (!stream.writable) return;
      try {
        if (stream.write(answerTo(message, this.#answer(requestOf(message))))) return;
        stream.pause();
        stream.once('drain', () => stream.resume());
      } catch (thrown) {
        const failure = asFailure(thrown);
        this.#refused(failure);
        stream.emit('error', toServiceError(failure));
      }
    });
    stream.on('end', () => stream.end());
    const end = admissionOf(stream.metadata)?.end;
    end?.addEventListener('abort', () => stream.emit('error', toServiceError(asFailure(end.reason))), { once: true });
  }

  #answer({ host, messageRequest }: Request): Response {
    return {
      validHost: host,
      originalRequest: { host, messageRequest },
      messageResponse: this.#answerTo(messageRequest),
    };
  }

  /** As the protocol demands, an unknown name yields an error response instead of a status. */
  #answerTo(question: Request['messageRequest']): Answer {
    try {
      return this.#find(question);
    } catch (thrown) {
      const failure = asFailure(thrown);
      this.#refused(failure);
      const { code, message } = toStatus(failure);
      return { case: 'errorResponse', value: { errorCode: code, errorMessage: message } };
    }
  }

  #find(question: Request['messageRequest']): Answer {
    switch (question.case) {
      case 'listServices':
        return { case: 'listServicesResponse', value: { service: serviceNames().map((name) => ({ name })) } };
      case 'fileByFilename':
        return this.#filesFrom(this.#files.get(question.value), 'There is no file of this name.');
      case 'fileContainingSymbol':
        return this.#filesFrom(this.#symbols.get(question.value), 'There is no symbol of this name.');
      case 'fileContainingExtension': {
        const extension = extensionsOf(question.value.containingType).find(
          ({ number }) => number === question.value.extensionNumber,
        );
        return this.#filesFrom(extension?.file, 'The message has no extension of this number.');
      }
      case 'allExtensionNumbersOfType': {
        const extensionNumber = extensionsOf(question.value).map(({ number }) => number);
        return { case: 'allExtensionNumbersResponse', value: { baseTypeName: question.value, extensionNumber } };
      }
      case undefined:
        throw new Failure('invalid-argument', 'REFLECTION_REQUEST_EMPTY', 'The reflection request is empty.');
    }
  }

  /** A file and all files it imports. @throws Failure DESCRIPTOR_UNKNOWN if undefined */
  #filesFrom(file: DescFile | undefined, otherwise: string): Answer {
    if (file === undefined) throw unknown(otherwise);
    // Iterating over a set also visits the elements added meanwhile.
    const files = new Set([file]);
    for (const { dependencies } of files) for (const one of dependencies) files.add(one);
    const fileDescriptorProto = [...files].flatMap((one) => this.#encoded.get(one) ?? []);
    return { case: 'fileDescriptorResponse', value: { fileDescriptorProto } };
  }
}

function serviceNames(): string[] {
  return [...contract().files].flatMap(({ services }) => services.map(({ typeName }) => typeName));
}

/** @throws Failure DESCRIPTOR_UNKNOWN if there is no such message */
function extensionsOf(typeName: string) {
  const message: DescMessage | undefined = contract().getMessage(typeName);
  if (message === undefined) throw unknown('There is no message of this name.');
  return [...contract()].filter((type) => type.kind === 'extension').filter(({ extendee }) => extendee === message);
}

function unknown(sentence: string): Failure {
  return new Failure('not-found', 'DESCRIPTOR_UNKNOWN', sentence);
}

/** Full names of all declarations in a file. */
function symbolsOf(file: DescFile): string[] {
  const inMessages = (messages: readonly DescMessage[]): string[] =>
    messages.flatMap((message) => [
      message.typeName,
      ...[...message.fields, ...message.oneofs].map(({ name }) => `${message.typeName}.${name}`),
      ...inEnums(message.nestedEnums),
      ...message.nestedExtensions.map(({ typeName }) => typeName),
      ...inMessages(message.nestedMessages),
    ]);
  const inEnums = (enums: DescFile['enums']): string[] =>
    enums.flatMap(({ typeName, values }) => [
      typeName,
      // The names of enum values are scoped beside their enum, not inside it.
      ...values.map(({ name }) => `${typeName.slice(0, typeName.lastIndexOf('.') + 1)}${name}`),
    ]);
  return [
    ...inMessages(file.messages),
    ...inEnums(file.enums),
    ...file.extensions.map(({ typeName }) => typeName),
    ...file.services.flatMap(({ typeName, methods }) => [
      typeName,
      ...methods.map(({ name }) => `${typeName}.${name}`),
    ]),
  ];
}
