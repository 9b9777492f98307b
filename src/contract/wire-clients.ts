/** Wire forms of clients and their credentials. */
import type {
  DamagedClient,
  RegisteredClient as Registered,
  RegisteredCredential,
} from '../access/client-directory.ts';
import { etagOf } from '../access/client-etag.ts';
import type { Purpose as PolicyPurpose } from '../access/actions.ts';
import { agencyCodeOf, type Client, type ClientPatch, type Role as PolicyRole } from '../access/principal.ts';
import {
  ClientKind,
  CredentialKind,
  Role,
  type Client as WireClient,
  RegisteredClient,
  type ClientCredential,
} from './generated/ridgewatch/v1/access.ts';
import { Purpose } from './generated/ridgewatch/v1/identification.ts';
import type { ClientPath } from './client-rules.ts';
import { nameOf, purposeName } from './wire-names.ts';

/** @param client - that was checked */
export function fromWireClient(client: WireClient): Client {
  return {
    clientId: client.clientId,
    kind: client.kind === ClientKind.PERSON ? 'person' : 'machine',
    agency: client.agency,
    agencyCode: agencyCodeOf(client.agency),
    roles: new Set(client.roles.map((role) => nameOf(Role, role) as PolicyRole)),
    galleries: client.allGalleries ? 'all' : new Set(client.galleries),
    purposes: new Set(client.purposes.map((purpose) => purposeName(purpose) as PolicyPurpose)),
    clearance: client.clearance,
    budgets: {
      callsPerSecond: client.callsPerSecond || undefined,
      streams: client.streams || undefined,
      verificationsPerDay: client.verificationsPerDay || undefined,
    },
  };
}

/**
 * @param client - that was checked
 * @param named - fields that were asked to change
 */
export function clientPatch(client: WireClient, named: ReadonlySet<ClientPath>): ClientPatch {
  const { roles, galleries, purposes, clearance, budgets } = fromWireClient(client);
  const { callsPerSecond, streams, verificationsPerDay } = budgets;
  return {
    ...(named.has('roles') && { roles }),
    ...(named.has('galleries') && { galleries }),
    ...(named.has('purposes') && { purposes }),
    ...(named.has('clearance') && { clearance }),
    budgets: {
      ...(named.has('calls_per_second') && { callsPerSecond }),
      ...(named.has('streams') && { streams }),
      ...(named.has('verifications_per_day') && { verificationsPerDay }),
    },
  };
}

export function toWireRegistered({
  client,
  credentials,
  createTime,
  createdBy,
  disableTime,
  disableReason,
}: Registered): RegisteredClient {
  return {
    client: toWireClient(client),
    credentials: credentials.map(toWireCredential),
    createTime,
    createdBy,
    disableTime,
    disableReason: disableReason ?? '',
    damage: '',
    etag: etagOf(client),
  };
}

/** A client of which nothing is certain but its id. */
export function toWireDamaged({ clientId, reason }: DamagedClient): RegisteredClient {
  return RegisteredClient.fromPartial({ client: { clientId }, damage: reason });
}

function toWireClient(client: Client): WireClient {
  return {
    clientId: client.clientId,
    kind: client.kind === 'person' ? ClientKind.PERSON : ClientKind.MACHINE,
    agency: client.agency,
    roles: [...client.roles].map((role) => Role[role.toUpperCase() as keyof typeof Role]).sort((a, b) => a - b),
    allGalleries: client.galleries === 'all',
    galleries: client.galleries === 'all' ? [] : [...client.galleries].sort(),
    purposes: [...client.purposes]
      .filter((purpose) => purpose !== 'none')
      .map((purpose) => Purpose[purpose.toUpperCase().replace('-', '_') as keyof typeof Purpose])
      .sort((a, b) => a - b),
    clearance: client.clearance,
    callsPerSecond: client.budgets.callsPerSecond ?? 0,
    streams: client.budgets.streams ?? 0,
    verificationsPerDay: client.budgets.verificationsPerDay ?? 0,
  };
}

const KINDS: Record<RegisteredCredential['kind'], CredentialKind> = {
  token: CredentialKind.TOKEN,
  certificate: CredentialKind.CERTIFICATE,
  'certificate-name': CredentialKind.CERTIFICATE_NAME,
  oidc: CredentialKind.OIDC,
};

function toWireCredential(credential: RegisteredCredential): ClientCredential {
  const { credentialId, kind, fingerprint, name, issuer, createTime, createdBy, expireTime } = credential;
  const { revokeTime, revokedBy } = credential;
  return {
    credentialId,
    kind: KINDS[kind],
    fingerprint: fingerprint ?? '',
    name: name ?? '',
    issuer: issuer ?? '',
    createTime,
    createdBy,
    expireTime,
    revokeTime,
    revokedBy: revokedBy ?? '',
  };
}
