import type { CedarValueJson, EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import type { Action, Purpose } from './actions.ts';
import { caveatFacts } from './caveats.ts';
import type { PolicyReading } from './policy-reading.ts';
import type { Client } from './principal.ts';
import type { RecordFacts } from './grant.ts';
import type { RecordAction } from './record-class.ts';

/** Entities, as ridgewatch.cedarschema describes them. */
const NAMESPACE = 'Ridgewatch';

const uid = (type: string, id: string): TypeAndId => ({ type: `${NAMESPACE}::${type}`, id });
const reference = (type: string, id: string): CedarValueJson => ({ __entity: uid(type, id) });

export const SERVICE: EntityJson = { uid: uid('Service', 'service'), attrs: {}, parents: [] };

/** Equal clients have equal attributes in equal order. */
export function clientEntity(client: Client): EntityJson {
  const { galleries } = client;
  return {
    uid: uid('Client', client.clientId),
    attrs: {
      agency: client.agency,
      agencyCode: client.agencyCode,
      kind: reference('ClientKind', client.kind),
      roles: [...client.roles].sort().map((role) => reference('Role', role)),
      galleries: galleries === 'all' ? [] : [...galleries].sort(),
      allGalleries: galleries === 'all',
      purposes: [...client.purposes].sort().map((purpose) => reference('Purpose', purpose)),
      clearance: client.clearance,
    },
    parents: [],
  };
}

export function galleryEntity(name: string): EntityJson {
  return { uid: uid('Gallery', name), attrs: { name }, parents: [] };
}

/** In the place of a contributor that no policy names: no agency has such a name. */
const SOME_OTHER = '(other)';

/**
 * What the policies can tell about a record class when they decide about the client: names that none of them reads are
 * left out, so that many classes become equal and are decided once.
 * @param reading - of the policies that will decide
 */
export function recordClassEntity(record: RecordFacts, reading: PolicyReading, client: Client): EntityJson {
  const { texts, examined } = reading;
  const matters = (text: string) => texts.has(text) || text === client.agency || text === client.agencyCode;
  const read = (attribute: string, values: readonly string[]) =>
    [...new Set(examined.has(attribute) ? values : values.filter(matters))].sort();
  const { releasableTo, ...facts } = caveatFacts(record.caveats, reading);
  const { contributor } = record;
  return {
    uid: uid('RecordClass', 'class'),
    attrs: {
      contributor: examined.has('contributor') || matters(contributor) ? contributor : SOME_OTHER,
      caveats: read('caveats', record.caveats),
      provenance: reference('Provenance', record.provenance),
      ...facts,
      releasableTo: read('releasableTo', releasableTo),
    },
    parents: [],
  };
}

export function actionUid(action: Action | RecordAction): TypeAndId {
  return uid('Action', action);
}

/** @param contributor - that the request names; undefined: none */
export function callContext(purpose: Purpose, contributor: string | undefined): Record<string, CedarValueJson> {
  return { purpose: reference('Purpose', purpose), ...(contributor === undefined ? {} : { contributor }) };
}

export function recordContext(purpose: Purpose, call: Action): Record<string, CedarValueJson> {
  return { purpose: reference('Purpose', purpose), call: reference('Call', call) };
}
