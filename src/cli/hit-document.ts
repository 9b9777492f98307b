import { Band } from '../contract/generated/ridgewatch/v1/sample.ts';
import { Hit, HitKind } from '../contract/generated/ridgewatch/v1/sharing.ts';
import { toProtoJson } from '../contract/proto-json.ts';
import { nameOf, purposeName } from '../contract/wire-names.ts';

/** A hit as commands print and forward it: the message as JSON, with short names. */
export function hitDocument(hit: Hit): object {
  const { band, purpose, kind } = hit;
  const names = { band: nameOf(Band, band), purpose: purposeName(purpose), kind: nameOf(HitKind, kind) };
  return { ...(toProtoJson(Hit.toJSON(hit)) as object), ...names };
}
