import { readFileSync } from 'node:fs';
import Table from 'cli-table3';
import {
  ClientKind,
  CredentialKind,
  RegisteredClient,
  Role,
  type ClientCredential,
  type NewCredential,
} from '../../contract/generated/ridgewatch/v1/access.ts';
import { Purpose } from '../../contract/generated/ridgewatch/v1/identification.ts';
import { toProtoJson } from '../../contract/proto-json.ts';
import { nameOf, purposeName } from '../../contract/wire-names.ts';
import { Failure } from '../../failure.ts';
import { requireNew } from '../../files/durable-file.ts';
import { createSecret } from '../../security/secret-file.ts';
import { ServiceClient } from '../client.ts';
import { agreed } from '../confirmation.ts';
import { EXIT } from '../exit-codes.ts';
import { printResult } from '../output.ts';
import { connectionOf, PURPOSES, type ConnectionOptions } from '../shared-options.ts';

interface CredentialOptions {
  readonly certificate?: string;
  readonly certificateName?: string;
  readonly issuer?: string;
  readonly oidcIssuer?: string;
  readonly oidcSubject?: string;
  readonly tokenOut?: string;
  readonly days?: number;
}

interface AddOptions extends ConnectionOptions, CredentialOptions {
  readonly agency: string;
  readonly role: readonly string[];
  readonly gallery?: readonly string[];
  readonly allGalleries?: boolean;
  readonly purpose?: readonly string[];
  readonly person?: boolean;
  readonly clearance: number;
  readonly callsPerSecond?: number;
  readonly streams?: number;
  readonly verificationsPerDay?: number;
}

const DAY_MS = 86_400_000;

export async function addClient([clientId]: readonly string[], options: AddOptions): Promise<number> {
  // A token that cannot be written would be lost.
  if (options.tokenOut !== undefined) requireNew(options.tokenOut);
  return withService(options, async (service) => {
    const { client, token } = await service.addClient({
      client: {
        clientId,
        kind: options.person === true ? ClientKind.PERSON : ClientKind.MACHINE,
        agency: options.agency,
        roles: options.role.map((role) => Role[role.toUpperCase() as keyof typeof Role]),
        allGalleries: options.allGalleries === true,
        galleries: [...(options.gallery ?? [])],
        purposes: (options.purpose ?? []).map((purpose) => PURPOSES[purpose] ?? Purpose.UNSPECIFIED),
        clearance: options.clearance,
        callsPerSecond: options.callsPerSecond ?? 0,
        streams: options.streams ?? 0,
        verificationsPerDay: options.verificationsPerDay ?? 0,
      },
      credential: newCredential(options),
    });
    return tellCredential(options, client, token);
  });
}

export function listClients(_: readonly string[], options: ConnectionOptions): Promise<number> {
  return withService(options, async (service) => {
    const clients = await service.listClients();
    const table = new Table({
      head: ['client', 'agency', 'roles', 'galleries', 'credentials', ''],
      style: { head: [], border: [] },
    });
    for (const { client, credentials, disableTime, damage } of clients) {
      table.push([
        client?.clientId ?? '',
        client?.agency ?? '',
        (client?.roles ?? []).map((role) => nameOf(Role, role)).join(', '),
        client?.allGalleries === true ? 'all' : (client?.galleries ?? []).join(', '),
        credentials.filter(isValid).length,
        damage !== '' ? `damaged: ${damage}` : disableTime === undefined ? '' : 'disabled',
      ]);
    }
    printResult(options, { clients: clients.map(documentOf) }, table.toString());
    return EXIT.ok;
  });
}

export function showClient([clientId]: readonly string[], options: ConnectionOptions): Promise<number> {
  return withService(options, async (service) => {
    const found = (await service.listClients()).find(({ client }) => client?.clientId === clientId);
    if (found === undefined) throw new Failure('not-found', 'CLIENT_NOT_FOUND', 'There is no client with this id.');
    printResult(options, documentOf(found), describe(found));
    return EXIT.ok;
  });
}

export async function rotateCredential(
  [clientId]: readonly string[],
  options: ConnectionOptions & CredentialOptions & { readonly overlapHours: number },
): Promise<number> {
  // A token that cannot be written would be lost.
  if (options.tokenOut !== undefined) requireNew(options.tokenOut);
  return withService(options, async (service) => {
    const overlapSeconds = options.overlapHours * 3600;
    const { client, token } = await service.rotateCredential({
      clientId,
      credential: newCredential(options),
      overlapSeconds,
    });
    return tellCredential(options, client, token);
  });
}

export async function disableClient(
  [clientId]: readonly string[],
  options: ConnectionOptions & { readonly reason: string; readonly yes?: boolean },
): Promise<number> {
  if (!(await agreed(options, `Client ${clientId} will be disabled for ever.`))) return EXIT.refused;
  return withService(options, async (service) => {
    const { client } = await service.disableClient({ clientId, reason: options.reason });
    printResult(options, documentOf(client), `Client ${clientId} is disabled; none of its calls is under way.`);
    return EXIT.ok;
  });
}

export async function withService(
  options: ConnectionOptions,
  work: (service: ServiceClient) => Promise<number>,
): Promise<number> {
  const service = new ServiceClient(connectionOf(options));
  try {
    return await work(service);
  } finally {
    service.close();
  }
}

function newCredential(options: CredentialOptions): NewCredential {
  const { certificate, certificateName, issuer, oidcIssuer, oidcSubject, days } = options;
  const expireTime = days === undefined ? undefined : new Date(Date.now() + days * DAY_MS);
  if ((certificateName === undefined) !== (issuer === undefined))
    throw new Failure('invalid-argument', 'USAGE', '--certificate-name and --issuer go together.');
  if ((oidcIssuer === undefined) !== (oidcSubject === undefined))
    throw new Failure('invalid-argument', 'USAGE', '--oidc-issuer and --oidc-subject go together.');
  if (oidcIssuer !== undefined && oidcSubject !== undefined)
    return { how: { $case: 'oidc', value: { issuer: oidcIssuer, subject: oidcSubject } }, expireTime };
  if (certificate !== undefined)
    return { how: { $case: 'certificate', value: readPem(certificate, '--certificate') }, expireTime };
  if (certificateName === undefined || issuer === undefined)
    return { how: { $case: 'token', value: true }, expireTime };
  const value = { name: certificateName, issuer: readPem(issuer, '--issuer') };
  return { how: { $case: 'certificateName', value }, expireTime };
}

function readPem(file: string, option: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new Failure('invalid-argument', 'FILE_UNREADABLE', `The file ${file} (${option}) cannot be read.`, { cause });
  }
}

/** Shows a token once, or writes it to a file for its owner only. */
async function tellCredential(
  options: ConnectionOptions & CredentialOptions,
  client: RegisteredClient | undefined,
  token: string,
): Promise<number> {
  const { tokenOut } = options;
  const clientId = client?.client?.clientId ?? '';
  if (token === '') {
    const by = options.oidcIssuer === undefined ? 'its certificate' : 'its sign-in';
    printResult(options, { client: documentOf(client) }, `Client ${clientId} is registered with ${by}.`);
    return EXIT.ok;
  }
  if (tokenOut === undefined) {
    const sentence = `Client ${clientId} is registered. Its token, which is not shown again:\n${token}`;
    printResult(options, { client: documentOf(client), token }, sentence);
    return EXIT.ok;
  }
  const isWritten = await createSecret(tokenOut, `${token}\n`, `The token ${tokenOut}`).catch(() => false);
  if (isWritten) {
    const sentence = `Client ${clientId} is registered; its token is in ${tokenOut}.`;
    printResult(options, { client: documentOf(client), token_file: tokenOut }, sentence);
    return EXIT.ok;
  }
  const sentence = `Client ${clientId} is registered, but its token could not be written to ${tokenOut}: ridgewatch client rotate ${clientId} --token-out FILE makes another one.`;
  throw new Failure('failed-precondition', 'OUTPUT_UNWRITABLE', sentence);
}

export function documentOf(client: RegisteredClient | undefined): object {
  return client === undefined ? {} : (toProtoJson(RegisteredClient.toJSON(client)) as object);
}

function isValid({ expireTime, revokeTime }: ClientCredential): boolean {
  return revokeTime === undefined && (expireTime === undefined || expireTime > new Date());
}

export function describe({
  client,
  credentials,
  createTime,
  createdBy,
  disableTime,
  disableReason,
  damage,
}: RegisteredClient): string {
  if (damage !== '') return `${client?.clientId ?? ''} is not what was registered, and is not let in: ${damage}`;
  const facts = new Table({ style: { head: [], border: [] } });
  const or = (text: string) => (text === '' ? '-' : text);
  facts.push(
    { client: client?.clientId ?? '' },
    { kind: nameOf(ClientKind, client?.kind ?? 0) },
    { agency: client?.agency ?? '' },
    { roles: or((client?.roles ?? []).map((role) => nameOf(Role, role)).join(', ')) },
    { galleries: client?.allGalleries === true ? 'all' : or((client?.galleries ?? []).join(', ')) },
    { purposes: or((client?.purposes ?? []).map(purposeName).join(', ')) },
    { clearance: String(client?.clearance ?? 0) },
    { registered: `${createTime?.toISOString() ?? ''} by ${createdBy}` },
    ...(disableTime === undefined ? [] : [{ disabled: `${disableTime.toISOString()}: ${disableReason}` }]),
  );
  const table = new Table({ head: ['id', 'credential', 'known by', 'until'], style: { head: [], border: [] } });
  for (const one of credentials) {
    table.push([one.credentialId, nameOf(CredentialKind, one.kind), knownBy(one), endOf(one)]);
  }
  return `${facts.toString()}\n${table.toString()}`;
}

function knownBy({ kind, name, issuer, fingerprint }: ClientCredential): string {
  if (kind === CredentialKind.CERTIFICATE_NAME) return name;
  if (kind === CredentialKind.OIDC) return `${name} at ${issuer}`;
  return `SHA-256 ${fingerprint.slice(0, 16)}…`;
}

function endOf(credential: ClientCredential): string {
  const { expireTime, revokeTime, revokedBy } = credential;
  if (revokeTime !== undefined) return `${revokeTime.toISOString()} (revoked by ${revokedBy})`;
  const until = expireTime?.toISOString() ?? 'no end';
  return isValid(credential) ? until : `${until} (expired)`;
}
