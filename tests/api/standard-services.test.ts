/** Health and reflection for callers that violate their contracts, over raw HTTP/2. */
import { once } from 'node:events';
import { connect, type ClientHttp2Session } from 'node:http2';
import { fromBinary, toBinary, create, type DescMessage } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { status as Code } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { contract } from '../../src/contract/contract.ts';
import type { ApiServer } from '../../src/api/server.ts';
import { createApiServer } from './api-server.ts';
import { headBytes, beginCall, frame, messageCall } from './raw-call.ts';
import { field } from '../contract/wire-messages.ts';

let server: ApiServer;
let refusals: string[];
let session: ClientHttp2Session;

beforeEach(async () => {
  ({ server, refusals } = createApiServer());
  session = connect(`http://127.0.0.1:${await server.listen('127.0.0.1', 0, undefined)}`);
});
afterEach(async () => {
  session.destroy();
  await server.stop(0);
});

const CHECK = '/grpc.health.v1.Health/Check';
const WATCH = '/grpc.health.v1.Health/Watch';
const LIST = '/grpc.health.v1.Health/List';
const REFLECT = ['v1', 'v1alpha'].map((version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`);

const ask = (path: string, bytes: Uint8Array) => messageCall(session, path, bytes);

function message(name: string): DescMessage {
  const found = contract().getMessage(name);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
}

const asks = (service: string) => field(1, Buffer.from(service));

describe('health', () => {
  it.each([
    ['is not known', 'nobody'],
    ['every object has', '__proto__'],
    ['is as long as texts may be', 'x'.repeat(4096)],
  ])('of a service whose name %s is NOT_FOUND, and the name is not repeated', async (_, service) => {
    const answer = await ask(CHECK, asks(service));
    const { status } = answer;
    expect(status).toMatchObject({ code: Code.NOT_FOUND, reason: 'HEALTH_SERVICE_UNKNOWN' });
    expect(status.violations[0]?.field).toBe('service');
    expect(headBytes(answer)).toBeLessThan(1000);
    expect(refusals).toEqual(['HEALTH_SERVICE_UNKNOWN']);
  });

  it('of a service with a name of 200 KB is refused with a short error', async () => {
    const answer = await ask(CHECK, asks('x'.repeat(200_000)));
    const { status } = answer;
    expect(status.code).toBe(Code.INVALID_ARGUMENT);
    expect(headBytes(answer)).toBeLessThan(1000);
    expect(refusals).toHaveLength(1);
  });

  it('is listed for each service', async () => {
    server.setServing(true);
    const { messages, status } = await ask(LIST, Buffer.alloc(0));
    expect(status.code).toBe(Code.OK);
    const { statuses } = fromBinary(
      message('grpc.health.v1.HealthListResponse'),
      messages[0] ?? Buffer.alloc(0),
    ) as unknown as {
      statuses: Record<string, { status: number }>;
    };
    const services = ['Access', 'Audit', 'Gallery', 'Identification', 'Operations', 'Sharing'];
    const names = ['', ...services.map((name) => `ridgewatch.v1.${name}`)];
    expect(Object.keys(statuses).sort()).toEqual(names);
    expect(Object.values(statuses).map((one) => one.status)).toEqual(names.map(() => 1));
  });

  it.each([
    ['a service', 'ridgewatch.v1.Gallery', [2, 1]],
    ['an unknown service', 'nobody', [3]],
  ])('can be watched for %s', async (_, service, expected) => {
    const stream = beginCall(session, WATCH);
    let received = Buffer.alloc(0);
    stream.on('data', (part: Buffer) => (received = Buffer.concat([received, part])));
    stream.end(frame(asks(service)));
    await once(stream, 'data');
    server.setServing(true);
    // Each answer is one frame with one field.
    await expect.poll(() => received.length).toBe(7 * expected.length);
    expect(expected.map((_value, i) => received[7 * i + 6])).toEqual(expected);
    stream.close();
    await once(stream, 'close');
  });
});

it('a health watch does not delay a stop', async () => {
  const streams = ['', 'nobody'].map((service) => {
    const stream = beginCall(session, WATCH);
    stream.end(frame(asks(service)));
    return stream;
  });
  await Promise.all(streams.map((stream) => once(stream, 'data')));
  const ended = streams.map((stream) => once(stream.resume(), 'end'));
  expect(await server.stop(60_000)).toBe(true);
  await Promise.all(ended);
});

describe('bytes that are not a valid message', () => {
  it.each([CHECK, WATCH, LIST, ...REFLECT])('are refused as INVALID_ARGUMENT by %s', async (path) => {
    const { status } = await ask(path, Buffer.from([0xff, 0xff]));
    expect(status).toMatchObject({ code: Code.INVALID_ARGUMENT, reason: 'REQUEST_UNREADABLE' });
    expect(refusals).toEqual(['REQUEST_UNREADABLE']);
  });
});

describe.each(REFLECT)('%s', (path) => {
  const version = path.split('.')[2] ?? '';
  interface Reply {
    readonly messageResponse: { readonly case: string; readonly value: Readonly<Record<string, unknown>> };
  }
  const reflect = async (question: { case: string; value: unknown } | { case: undefined }): Promise<Reply> => {
    const schema = message(`grpc.reflection.${version}.ServerReflectionRequest`);
    const { messages } = await ask(path, toBinary(schema, create(schema, { messageRequest: question })));
    const response = message(`grpc.reflection.${version}.ServerReflectionResponse`);
    return fromBinary(response, messages[0] ?? Buffer.alloc(0)) as unknown as Reply;
  };
  const NAMES = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'nothing', ''];
  const QUESTIONS = NAMES.flatMap((name) => [
    { case: 'fileContainingSymbol', value: name },
    { case: 'fileByFilename', value: name },
    { case: 'allExtensionNumbersOfType', value: name },
    { case: 'fileContainingExtension', value: { containingType: name, extensionNumber: 1 } },
  ]);

  it.each(QUESTIONS)('returns NOT_FOUND for an unknown name: %j', async (question) => {
    const { messageResponse } = await reflect(question);
    expect(messageResponse).toMatchObject({ case: 'errorResponse', value: { errorCode: Code.NOT_FOUND } });
    expect(messageResponse.value.errorMessage).toMatch(/^(There is no|The message has no) [a-z ]+\.$/);
    expect(refusals).toEqual(['DESCRIPTOR_UNKNOWN']);
  });

  it('refuses an empty request', async () => {
    const { messageResponse } = await reflect({ case: undefined });
    expect(messageResponse).toMatchObject({ case: 'errorResponse', value: { errorCode: Code.INVALID_ARGUMENT } });
    expect(refusals).toEqual(['REFLECTION_REQUEST_EMPTY']);
  });

  it('finds every kind of symbol that a file declares', async () => {
    for (const symbol of [
      'ridgewatch.v1.Identification.Identify',
      'ridgewatch.v1.IdentifyRequest',
      'ridgewatch.v1.IdentifyRequest.target_fpir',
      'ridgewatch.v1.IdentifyRequest.threshold',
      'ridgewatch.v1.Purpose',
      'ridgewatch.v1.PURPOSE_TEST',
    ]) {
      const { messageResponse } = await reflect({ case: 'fileContainingSymbol', value: symbol });
      const [first] = messageResponse.value.fileDescriptorProto as Uint8Array[];
      expect(fromBinary(FileDescriptorProtoSchema, first ?? Buffer.alloc(0)).name, symbol).toBe(
        'ridgewatch/v1/identification.proto',
      );
    }
    const none = await reflect({ case: 'allExtensionNumbersOfType', value: 'ridgewatch.v1.Sample' });
    expect(none.messageResponse.value).toMatchObject({ baseTypeName: 'ridgewatch.v1.Sample', extensionNumber: [] });
    expect(refusals).toEqual([]);
  });
});
