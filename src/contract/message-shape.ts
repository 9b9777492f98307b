/** Wire shapes of the contract's messages: the walk over a request checks its bytes against them. */
import { ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf';
import { MAX_VALUES, RANGES } from './wire-limits.ts';

/** Wire types: https://protobuf.dev/programming-guides/encoding/#structure */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, startGroup: 3, endGroup: 4, fixed32: 5 } as const;

export interface FieldShape {
  /** Name in the contract, e.g. `update_mask`. */
  readonly name: string;
  readonly wireType: number;
  readonly isText: boolean;
  readonly isRepeated: boolean;
  /** Maximum number of values. */
  readonly most: number;
  /** Counter of the field. The fields of a oneof share one. */
  readonly slot: number;
  /** Minimum and maximum of an integer; undefined for other types. */
  readonly range: readonly [number, number] | undefined;
  /** Shape of a message-typed field. */
  readonly message: MessageShape | undefined;
}

export interface MessageShape {
  /** e.g. `google.protobuf.Timestamp`. */
  readonly name: string;
  /** Indexed by field number. */
  readonly fields: readonly (FieldShape | undefined)[];
  readonly slotCount: number;
}

/** The shape of a message and of all messages in it. @throws Error for a repeated field without a limit */
export function shapeOf(message: DescMessage, within: readonly DescMessage[] = []): MessageShape {
  if (within.includes(message)) throw new Error(`${message.typeName} can hold itself: its depth needs a limit`);
  const fields: (FieldShape | undefined)[] = [];
  const slots = new Map<string, number>();
  for (const field of message.fields) {
    const slotName = field.oneof?.name ?? field.name;
    const slot = slots.get(slotName) ?? slots.size;
    slots.set(slotName, slot);
    fields[field.number] = fieldShape(field, slot, [...within, message]);
  }
  return { name: message.typeName, fields, slotCount: slots.size };
}

function fieldShape(field: DescField, slot: number, within: readonly DescMessage[]): FieldShape {
  const fullName = `${field.parent.typeName}.${field.name}`;
  const isRepeated = field.fieldKind === 'list' || field.fieldKind === 'map';
  const most = isRepeated ? MAX_VALUES[fullName] : 1;
  if (most === undefined) throw new Error(`${fullName} is repeated and has no limit: enter one in wire-limits.ts`);
  const message = field.message && shapeOf(field.message, within);
  const scalar = field.scalar ?? (field.enum === undefined ? undefined : ScalarType.INT32);
  return {
    name: field.name,
    wireType: scalar === undefined ? WIRE.bytes : wireTypeOf(scalar),
    isText: scalar === ScalarType.STRING,
    isRepeated,
    most,
    slot,
    range: RANGES[fullName] ?? (scalar === undefined ? undefined : WHOLE_NUMBERS[scalar]),
    message,
  };
}

const INT32: readonly [number, number] = [-(2 ** 31), 2 ** 31 - 1];
const INT64: readonly [number, number] = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];
/** Ranges of the varint types. 64-bit types are limited to the safe integers of JavaScript. */
const WHOLE_NUMBERS: Partial<Record<ScalarType, readonly [number, number]>> = {
  [ScalarType.INT32]: INT32,
  [ScalarType.UINT32]: [0, 2 ** 32 - 1],
  [ScalarType.INT64]: INT64,
  [ScalarType.UINT64]: [0, Number.MAX_SAFE_INTEGER],
};

function wireTypeOf(scalar: ScalarType): number {
  switch (scalar) {
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return WIRE.fixed64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return WIRE.fixed32;
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return WIRE.bytes;
    default:
      return WIRE.varint;
  }
}
