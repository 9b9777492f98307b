/**
 * Encoded requests and answers. If grpc-js decoded and encoded messages itself, a request that cannot be decoded and an
 * answer that is too large would be neither logged nor counted. Handlers therefore do both inside the reported work.
 */
import type { MethodDefinition, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import { Failure } from '../failure.ts';
import { contractMethod } from '../contract/contract.ts';
import { shapeOf, type MessageShape } from '../contract/message-shape.ts';
import { findText, readMessage } from '../contract/wire-walk.ts';

/** A request that has not been decoded yet. */
export class WireRequest<Request, Response> {
  readonly #bytes: Buffer;
  readonly #method: WireMethod<Request, Response>;

  constructor(bytes: Buffer, method: WireMethod<Request, Response>) {
    this.#bytes = bytes;
    this.#method = method;
  }

  get byteLength(): number {
    return this.#bytes.length;
  }

  /** @throws Failure that names the field: see `walkMessage` */
  read(): Request {
    return readMessage(this.#method.requestShape, { decode: this.#method.decode }, this.#bytes);
  }

  /** Extracts a string even from a request that cannot be decoded. @param path - field numbers that lead to it */
  findText(path: readonly number[], maxBytes: number): string | undefined {
    return findText(this.#bytes, path, maxBytes);
  }

  /** @throws Failure ANSWER_TOO_LARGE */
  answer(response: Response): WireAnswer {
    return writeAnswer(this.#method, response);
  }
}

/** An encoded answer. */
export class WireAnswer {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}

export interface WireMethod<Request, Response> {
  readonly requestShape: MessageShape;
  readonly decode: (bytes: Buffer) => Request;
  readonly encode: (response: Response) => Buffer;
  readonly maxMessageBytes: number;
}

function writeAnswer<Response>(
  method: Pick<WireMethod<unknown, Response>, 'encode' | 'maxMessageBytes'>,
  response: Response,
): WireAnswer {
  const bytes = method.encode(response);
  if (bytes.length <= method.maxMessageBytes) return new WireAnswer(bytes);
  const sentence = `The answer has ${bytes.length} bytes; the limit is ${method.maxMessageBytes}: request less at a time.`;
  throw new Failure('resource-exhausted', 'ANSWER_TOO_LARGE', sentence);
}

/** The service definition with decoding and encoding left to its handlers. */
export function overTheWire(
  service: ServiceDefinition,
  maxMessageBytes: number,
): ServiceDefinition<UntypedServiceImplementation> {
  return Object.fromEntries(
    Object.entries(service).map(([name, definition]) => [name, methodOverTheWire(definition, maxMessageBytes)]),
  );
}

function methodOverTheWire(
  definition: MethodDefinition<unknown, unknown>,
  maxMessageBytes: number,
): MethodDefinition<unknown, unknown> {
  const method: WireMethod<unknown, unknown> = {
    requestShape: shapeOf(contractMethod(definition.path).input),
    decode: definition.requestDeserialize,
    encode: definition.responseSerialize,
    maxMessageBytes,
  };
  return {
    ...definition,
    requestDeserialize: (bytes: Buffer) => new WireRequest(bytes, method),
    responseSerialize: (answer: unknown) =>
      answer instanceof WireAnswer ? answer.bytes : definition.responseSerialize(answer),
  };
}

/** Decodes a request that came over gRPC; returns one from within the process unchanged. */
export function requestOf<Request>(given: Request | WireRequest<Request, never>): Request {
  return given instanceof WireRequest ? given.read() : given;
}

/** Encodes the answer if the request was encoded. */
export function answerTo<Response>(given: unknown, response: Response): Response {
  // grpc-js passes the answer unchanged to the serialiser, which accepts both forms.
  return given instanceof WireRequest ? (given.answer(response) as Response) : response;
}
