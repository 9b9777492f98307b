/** Conversion of what an owner asks for at a hit. */
import type { Handling } from '../store/records.ts';
import { HandlingCode, type Handling as WireHandling } from './generated/ridgewatch/v1/handling.ts';
import { nameOf } from './wire-names.ts';

/** @param handling - of a request that was checked */
export function handlingOf({ code, instructions, contact }: WireHandling): Handling {
  return { code: nameOf(HandlingCode, code) as Handling['code'], instructions, contact };
}

export function toWireHandling({ code, instructions, contact }: Handling): WireHandling {
  const name = code.toUpperCase().replaceAll('-', '_') as keyof typeof HandlingCode;
  return { code: HandlingCode[name], instructions, contact };
}
