import { fromBinary, ScalarType, toBinary, type DescMessage, type Message } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contract } from '../../src/contract/contract.ts';
import {
  EnrollRequest,
  EnrollStreamRequest,
  ExpungeSubjectRequest,
  GetSubjectRequest,
  ListSubjectsRequest,
  UpdateSubjectRequest,
} from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import {
  IdentifyRequest,
  IdentifyStreamRequest,
  VerifyRequest,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { shapeOf } from '../../src/contract/message-shape.ts';
import { MAX_FIELDS, MAX_VALUES } from '../../src/contract/wire-limits.ts';
import { findText, walkMessage } from '../../src/contract/wire-walk.ts';
import { Failure } from '../../src/failure.ts';
import { field, fullOfEmptyValues, repeatedFields, varint } from './wire-messages.ts';

const requests = [...contract().files]
  .filter(({ proto }) => proto.package === 'ridgewatch.v1')
  .flatMap(({ services }) => services.flatMap(({ methods }) => methods.map(({ input }) => input)));

interface Codec {
  decode(bytes: Uint8Array): unknown;
  encode(message: never): { finish(): Uint8Array };
}
const codecs: Record<string, Codec> = {
  EnrollRequest,
  EnrollStreamRequest,
  ExpungeSubjectRequest,
  GetSubjectRequest,
  ListSubjectsRequest,
  UpdateSubjectRequest,
  IdentifyRequest,
  IdentifyStreamRequest,
  VerifyRequest,
};

function described(name: string): DescMessage {
  const message = requests.find((one) => one.name === name);
  if (message === undefined) throw new Error(`there is no request ${name}`);
  return message;
}

function refusalOf(name: string, bytes: Buffer): { reason: string; field: string | undefined } | undefined {
  try {
    walkMessage(shapeOf(described(name)), bytes);
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof Failure)) throw thrown;
    return { reason: thrown.reason, field: thrown.detail.field };
  }
}

/** Encodings of messages of a type, in which a random choice of fields is set. */
function messageOf(message: DescMessage): fc.Arbitrary<Buffer> {
  const parts = message.fields.map((one): fc.Arbitrary<Buffer> => {
    const value: fc.Arbitrary<Buffer | number | bigint> =
      one.message !== undefined
        ? messageOf(one.message)
        : one.scalar === ScalarType.STRING
          ? fc.string({ unit: 'binary', maxLength: 12 }).map((text) => Buffer.from(text.toWellFormed()))
          : one.scalar === ScalarType.BYTES
            ? fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes))
            : message.typeName === 'google.protobuf.Timestamp' && one.name === 'seconds'
              ? fc.bigInt(-62_135_596_800n, 253_402_300_799n)
              : one.scalar === ScalarType.DOUBLE
                ? fc.constant(0)
                : fc.nat(1);
    const encoded =
      one.scalar === ScalarType.DOUBLE
        ? fc.double().map((number) => {
            const bytes = Buffer.alloc(8);
            bytes.writeDoubleLE(number);
            return Buffer.concat([varint(one.number * 8 + 1), bytes]);
          })
        : value.map((bytes) => field(one.number, bytes));
    return one.fieldKind === 'list'
      ? fc.array(encoded, { maxLength: 3 }).map((list) => Buffer.concat(list))
      : fc.option(encoded, { nil: Buffer.alloc(0) });
  });
  // Only the first one of the fields of a oneof.
  const groups = Object.values(
    Object.groupBy(
      message.fields.map((one, i) => ({ one, i })),
      ({ one }) => one.oneof?.name ?? one.name,
    ),
  ).map((group) => fc.constantFrom(...(group ?? [])).chain(({ i }) => parts[i] ?? fc.constant(Buffer.alloc(0))));
  return fc.tuple(...groups).map((list) => Buffer.concat(list));
}

const anyMessage = fc
  .constantFrom(...Object.keys(codecs))
  .chain((name) => messageOf(described(name)).map((bytes) => ({ name, bytes })));

describe('the walk over a request', () => {
  it('has a limit for each repeated field of the contract, and no others', () => {
    const names = requests.flatMap((message) =>
      repeatedFields(message).map(({ path }) => `${path.at(-1)?.parent.typeName}.${path.at(-1)?.name}`),
    );
    expect(new Set(names)).toEqual(new Set(Object.keys(MAX_VALUES)));
    for (const message of requests) expect(() => shapeOf(message)).not.toThrow();
  });

  it('accepts as many values of each repeated field as allowed, and refuses one more with its name', () => {
    for (const message of requests) {
      for (const one of repeatedFields(message)) {
        const last = one.path.at(-1);
        const most = MAX_VALUES[`${last?.parent.typeName}.${last?.name}`] ?? 0;
        const size = (count: number) => fullOfEmptyValues(one, 2 * count + 16 * (one.path.length - 1));
        expect(refusalOf(message.name, size(most))).toBeUndefined();
        expect(refusalOf(message.name, size(most + 1))).toEqual({ reason: 'TOO_MANY_VALUES', field: one.name });
        expect(refusalOf(message.name, size(2_000_000))).toEqual({ reason: 'TOO_MANY_VALUES', field: one.name });
      }
    }
  });

  it.each<[string, string, Buffer, string, string | undefined]>([
    [
      'a text that is not UTF-8',
      'GetSubjectRequest',
      field(1, Buffer.from([0xff])),
      'REQUEST_UNREADABLE',
      'subject_id',
    ],
    [
      'half of a surrogate pair',
      'GetSubjectRequest',
      field(1, Buffer.from('eda080', 'hex')),
      'REQUEST_UNREADABLE',
      'subject_id',
    ],
    ['a text without an end', 'ListSubjectsRequest', field(1, Buffer.alloc(5000, 'a')), 'INVALID_REQUEST', 'gallery'],
    [
      'a repeated singular field',
      'GetSubjectRequest',
      Buffer.concat([field(1, Buffer.from('a')), field(1, Buffer.from('b'))]),
      'FIELD_REPEATED',
      'subject_id',
    ],
    [
      'two fields of a oneof',
      'VerifyRequest',
      Buffer.concat([field(2, Buffer.from('a')), field(3, Buffer.alloc(0))]),
      'FIELD_REPEATED',
      'reference_samples',
    ],
    ['a field of another type', 'GetSubjectRequest', field(1, 7), 'REQUEST_UNREADABLE', 'subject_id'],
    [
      'a version beyond the safe integers',
      'UpdateSubjectRequest',
      field(2, 2n ** 53n),
      'INVALID_REQUEST',
      'expected_version',
    ],
    ['a size beyond 32 bits', 'ListSubjectsRequest', field(3, 2n ** 32n), 'INVALID_REQUEST', 'page_size'],
    [
      'a time before the year 1',
      'EnrollRequest',
      field(1, field(6, field(1, -62_135_596_801n))),
      'INVALID_REQUEST',
      'data.expire_time',
    ],
    [
      'a time after the year 9999',
      'EnrollRequest',
      field(1, field(6, field(1, 253_402_300_800n))),
      'INVALID_REQUEST',
      'data.expire_time',
    ],
    [
      'a time as far away as can be',
      'EnrollRequest',
      field(2, field(8, field(1, 2n ** 63n))),
      'INVALID_REQUEST',
      'samples[0].capture_time',
    ],
    [
      'less than no nanoseconds',
      'EnrollRequest',
      field(1, field(6, field(2, -1n))),
      'INVALID_REQUEST',
      'data.expire_time',
    ],
    [
      'more nanoseconds than a second has',
      'EnrollRequest',
      field(1, field(6, field(2, 10n ** 9n))),
      'INVALID_REQUEST',
      'data.expire_time',
    ],
    ['a group', 'GetSubjectRequest', Buffer.from([123, 124]), 'REQUEST_UNREADABLE', undefined],
    ['the end of a group', 'GetSubjectRequest', Buffer.from([124]), 'REQUEST_UNREADABLE', undefined],
    ['a field of no number', 'GetSubjectRequest', Buffer.from([2, 0]), 'REQUEST_UNREADABLE', undefined],
    ['a length beyond the end', 'GetSubjectRequest', Buffer.from([10, 5, 65]), 'REQUEST_UNREADABLE', undefined],
    [
      'a length beyond 32 bits',
      'GetSubjectRequest',
      Buffer.concat([Buffer.from([10]), varint(2n ** 32n + 1n), Buffer.from('a')]),
      'REQUEST_UNREADABLE',
      undefined,
    ],
    [
      'a message within that reaches beyond its end',
      'EnrollRequest',
      Buffer.from([10, 2, 10, 5, 65, 65, 65, 65, 65]),
      'REQUEST_UNREADABLE',
      'data',
    ],
    ['a number that does not end', 'ListSubjectsRequest', Buffer.alloc(11, 0xff), 'REQUEST_UNREADABLE', undefined],
    [
      'unknown fields without an end',
      'GetSubjectRequest',
      Buffer.alloc(2 * (MAX_FIELDS + 1), field(15, 0)),
      'TOO_MANY_FIELDS',
      undefined,
    ],
  ])('refuses %s', (_, name, bytes, reason, where) => {
    expect(refusalOf(name, bytes)).toEqual({ reason, field: where });
  });

  it('accepts values within the bounds: unknown fields, long encodings of numbers, the first and the last time', () => {
    const long = Buffer.from([0x8a, 0x80, 0x00, 0x81, 0x00, 0x61]);
    expect(
      refusalOf('GetSubjectRequest', Buffer.concat([field(9, 1), field(99, Buffer.from('x')), long])),
    ).toBeUndefined();
    for (const seconds of [-62_135_596_800n, 253_402_300_799n])
      expect(refusalOf('EnrollRequest', field(1, field(6, field(1, seconds))))).toBeUndefined();
    expect(refusalOf('UpdateSubjectRequest', field(2, 2n ** 53n - 1n))).toBeUndefined();
  });

  it('accepts every message of the contract, and reads it as another reader does', () => {
    fc.assert(
      fc.property(anyMessage, ({ name, bytes }) => {
        expect(refusalOf(name, bytes)).toBeUndefined();
        expect(rewritten(name, bytes)).toEqual(readByTheOther(name, bytes));
      }),
      { numRuns: 100 },
    );
  });

  it('accepts no message that another reader reads differently, or not at all', () => {
    const damage = fc.array(
      fc.record({ at: fc.nat(), byte: fc.nat(255), how: fc.constantFrom('change', 'insert', 'remove') }),
      { minLength: 1, maxLength: 2 },
    );
    let passed = 0;
    fc.assert(
      fc.property(anyMessage, damage, ({ name, bytes }, changes) => {
        const list = [...bytes];
        for (const { at, byte, how } of changes) {
          const place = at % (list.length + 1);
          list.splice(place, how === 'insert' ? 0 : 1, ...(how === 'remove' ? [] : [byte]));
        }
        const damaged = Buffer.from(list);
        if (refusalOf(name, damaged) !== undefined) return;
        passed++;
        expect(rewritten(name, damaged)).toEqual(readByTheOther(name, damaged));
      }),
      { numRuns: 1000 },
    );
    expect(passed).toBeGreaterThan(10);
  });

  it('never reads out of bounds, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.constantFrom(...requests), fc.uint8Array({ maxLength: 64 }), ({ name }, bytes) => {
        refusalOf(name, Buffer.from(bytes));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the id of an unreadable message', () => {
  it('is returned where it can be read', () => {
    const bytes = field(
      1,
      Buffer.concat([field(1, Buffer.from([0xff])), field(9, Buffer.from('q-1')), field(8, Buffer.from([0xff]))]),
    );
    expect(findText(bytes, [1, 9], 64)).toBe('q-1');
    expect(findText(bytes, [1, 9], 2)).toBeUndefined();
    expect(findText(bytes, [1, 8], 64)).toBeUndefined();
    expect(findText(bytes.subarray(0, 4), [1, 9], 64)).toBeUndefined();
    expect(findText(Buffer.alloc(1_000_000, field(15, 0)), [1, 9], 64)).toBeUndefined();
  });
});

/** Read by our reader, written by our writer, and brought into the order of the other writer. */
function rewritten(name: string, bytes: Buffer): Buffer {
  const codec = codecs[name];
  if (codec === undefined) throw new Error(`there is no codec for ${name}`);
  return normalised(name, Buffer.from(codec.encode(codec.decode(bytes) as never).finish()));
}

function readByTheOther(name: string, bytes: Buffer): Buffer {
  return normalised(name, bytes);
}

function normalised(name: string, bytes: Buffer): Buffer {
  const message = described(name);
  const read = fromBinary(message, bytes, { readUnknownFields: false });
  withoutFractions(message, read);
  return Buffer.from(toBinary(message, read));
}

/** Our times count whole milliseconds. */
function withoutFractions(message: DescMessage, value: object): void {
  const seen = reflect(message, value as Message);
  for (const one of message.fields) {
    if (one.message === undefined || !seen.isSet(one)) continue;
    const inner = seen.get(one) as unknown;
    const list =
      one.fieldKind === 'list' ? [...(inner as Iterable<{ message: object }>)] : [inner as { message: object }];
    for (const item of list) {
      const held = 'message' in item ? item.message : item;
      if (one.message.typeName !== 'google.protobuf.Timestamp') withoutFractions(one.message, held);
      else {
        const time = held as { seconds: bigint; nanos: number };
        const milliseconds = Math.trunc(Number(time.seconds) * 1000 + time.nanos / 1e6);
        time.seconds = BigInt(Math.floor(milliseconds / 1000));
        time.nanos = (milliseconds - Number(time.seconds) * 1000) * 1e6;
      }
    }
  }
}
