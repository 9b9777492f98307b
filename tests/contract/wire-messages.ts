/** Messages as bytes, for callers that violate the contract. */
import type { DescField, DescMessage } from '@bufbuild/protobuf';

export function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    bytes.push(Number(rest & 127n) | (rest > 127n ? 128 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Buffer.from(bytes);
}

export function field(number: number, value: Buffer | number | bigint): Buffer {
  if (!Buffer.isBuffer(value)) return Buffer.concat([varint(number * 8), varint(value)]);
  return Buffer.concat([varint(number * 8 + 2), varint(value.length), value]);
}

/** A repeated field of a request, with the path to it. */
export interface RepeatedField {
  readonly path: readonly DescField[];
  /** Its name in the contract, with indices for lists on the path: `samples`, `record.data.galleries`. */
  readonly name: string;
}

/** Every repeated field that a message can hold, at any depth. */
export function repeatedFields(message: DescMessage, outer: readonly DescField[] = []): RepeatedField[] {
  return message.fields.flatMap((one) => {
    const path = [...outer, one];
    const inner = one.message === undefined ? [] : repeatedFields(one.message, path);
    if (one.fieldKind !== 'list') return inner;
    return [
      {
        path,
        name: path
          .map(({ name }, i) => (i < path.length - 1 && path[i]?.fieldKind === 'list' ? `${name}[0]` : name))
          .join('.'),
      },
      ...inner,
    ];
  });
}

/** As many empty values of a repeated field as fit into the given bytes. */
export function fullOfEmptyValues({ path }: RepeatedField, bytes: number): Buffer {
  const [last, ...outer] = path.toReversed();
  if (last === undefined) throw new Error('the path is empty');
  // Zero is the shortest number, as the empty value is of everything else. Tag and value have two bytes in all.
  const one = last.enum === undefined ? field(last.number, Buffer.alloc(0)) : Buffer.from([last.number << 3, 0]);
  let message: Buffer = Buffer.alloc(Math.floor((bytes - 16 * outer.length) / one.length) * one.length, one);
  for (const { number } of outer) message = field(number, message);
  return message;
}
