/** Wire forms of clients and their credentials. */
import type {
  DamagedClient,
  RegisteredClient as Registered,
  RegisteredCredential,
} from '../access/client-directory.ts';
import type { Purpose as PolicyPurpose } from '../access/actions.ts';
import { agencyCodeOf, type Client, type Role as PolicyRole } from '../access/principal.ts';
import {
  ClientKind,
  CredentialKind,
  Role,
  type Client as WireClient,
  RegisteredClient,
  type ClientCredential,
} from './generated/ridgewatch/v1/access.ts';
import { Purpose } from './generated/ridgewatch/v1/identification.ts';
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
  return {
    credentialId,
    kind: KINDS[kind],
    fingerprint: fingerprint ?? '',
    name: name ?? '',
    issuer: issuer ?? '',
    createTime,
    createdBy,
    expireTime,
  };
}
