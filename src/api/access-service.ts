import { createHash } from 'node:crypto';
import { CLIENT_ID, type ClientDirectory, type RegisteredClient as Registered } from '../access/client-directory.ts';
import { makeCredential, type MadeCredential, type WantedCredential } from '../access/new-credential.ts';
import { requireSignInFor } from '../access/sign-in-rules.ts';
import type { SignIns } from '../access/sign-in.ts';
import { Failure } from '../failure.ts';
import type { Client, ClientPatch } from '../access/principal.ts';
import {
  RegisteredClient,
  type AccessServer,
  type AddClientRequest,
  type AddClientResponse,
  type DisableClientRequest,
  type DisableClientResponse,
  type ListClientsRequest,
  type ListClientsResponse,
  type NewCredential,
  type RevokeCredentialRequest,
  type RevokeCredentialResponse,
  type RotateCredentialRequest,
  type RotateCredentialResponse,
  type UpdateClientRequest,
  type UpdateClientResponse,
} from '../contract/generated/ridgewatch/v1/access.ts';
import {
  addClientRules,
  disableRules,
  listClientsRules,
  onlyNamedClientFields,
  revokeRules,
  rotateRules,
  updateClientRules,
  type ClientPath,
} from '../contract/client-rules.ts';
import { check } from '../contract/validation.ts';
import { clientPatch, fromWireClient, toWireDamaged, toWireRegistered } from '../contract/wire-clients.ts';
import { unary, type CallContext, type CallSettings } from './call.ts';

/** Where clients are registered. */
export interface ClientRegister {
  addClient(client: Client, credentials: readonly MadeCredential['credential'][], doing: Doing): Promise<void>;
  addCredential(
    clientId: string,
    credential: MadeCredential['credential'],
    othersExpire: Date | undefined,
    doing: Doing,
  ): Promise<void>;
  disableClient(clientId: string, reason: string, doing: Doing): Promise<void>;
}

/** Where registered clients are changed. */
export interface ClientRights {
  update(clientId: string, etag: string, patch: ClientPatch): Promise<void>;
  revokeCredential(clientId: string, credentialId: string, doing: Doing): Promise<void>;
}

interface Doing {
  readonly by: string;
  readonly at: Date;
}

export interface AccessDependencies {
  readonly register: ClientRegister;
  readonly rights: ClientRights;
  readonly directory: ClientDirectory;
  readonly signIns: Pick<SignIns, 'agencyOf'>;
  /** Size limit of an answer, in bytes. */
  readonly maxMessageBytes: number;
}

/** The directory holds all of them in memory. */
const MAX_CLIENTS = 10_000;
const DEFAULT_PAGE = 100;
/** Size limit of a page, in bytes. */
const MAX_PAGE_BYTES = 1_048_576;
/** Size limit of the tag and length before a client in its page, and of the token at its end, in bytes. */
const MAX_FRAME_BYTES = 6;
const MAX_TOKEN_BYTES = 256;

/** The `Access` service. A change is in force when its call returns. */
export function accessService(service: AccessDependencies, settings: CallSettings): AccessServer {
  return {
    addClient: unary('Access/AddClient', settings, (request: AddClientRequest, context) =>
      addClient(service, request, context),
    ),
    listClients: unary('Access/ListClients', settings, (request: ListClientsRequest, context) =>
      listClients(service, request, context),
    ),
    rotateCredential: unary('Access/RotateCredential', settings, (request: RotateCredentialRequest, context) =>
      rotateCredential(service, request, context),
    ),
    updateClient: unary('Access/UpdateClient', settings, (request: UpdateClientRequest, context) =>
      updateClient(service, request, context),
    ),
    revokeCredential: unary('Access/RevokeCredential', settings, (request: RevokeCredentialRequest, context) =>
      revokeCredential(service, request, context),
    ),
    disableClient: unary('Access/DisableClient', settings, (request: DisableClientRequest, context) =>
      disableClient(service, request, context),
    ),
  };
}

async function addClient(
  service: AccessDependencies,
  request: AddClientRequest,
  context: CallContext,
): Promise<AddClientResponse> {
  const doing = begin(context);
  check(addClientRules, request);
  const { client, credential } = request;
  if (client === undefined) throw new Error('a checked request has a client');
  if (service.directory.clients.length >= MAX_CLIENTS) {
    const sentence = `There are ${MAX_CLIENTS} clients, as many as the service keeps.`;
    throw new Failure('resource-exhausted', 'TOO_MANY_CLIENTS', sentence);
  }
  const made = credentialOf(credential, doing.at);
  const added = fromWireClient(client);
  requireSignInFor(added, made.credential, service.signIns);
  await service.register.addClient(added, [made.credential], doing);
  return { client: await registered(service, added.clientId), token: made.token ?? '' };
}

async function listClients(
  { directory, maxMessageBytes }: AccessDependencies,
  request: ListClientsRequest,
  context: CallContext,
): Promise<ListClientsResponse> {
  begin(context);
  check(listClientsRules, request);
  const after = request.pageToken === '' ? undefined : readPageToken(request.pageToken);
  await directory.refresh();
  const all = inOrder(directory);
  const from = after === undefined ? 0 : all.findIndex(({ clientId }) => clientId > after);
  const limit = request.pageSize || DEFAULT_PAGE;
  let bytesLeft = Math.min(MAX_PAGE_BYTES, maxMessageBytes - MAX_TOKEN_BYTES);
  const clients: RegisteredClient[] = [];
  for (const one of from < 0 ? [] : all.slice(from, from + limit)) {
    const wire = one.toWire();
    bytesLeft -= RegisteredClient.encode(wire).finish().length + MAX_FRAME_BYTES;
    // A client larger than the size limit gets a page of its own.
    if (bytesLeft < 0 && clients.length > 0) break;
    clients.push(wire);
  }
  const isLast = from < 0 || from + clients.length >= all.length;
  context.note({ client_count: clients.length });
  return { clients, nextPageToken: isLast ? '' : pageTokenOf(clients.at(-1)?.client?.clientId ?? '') };
}

/** Registered clients and damaged ones, by id. */
function inOrder({ clients, damaged }: ClientDirectory): { readonly clientId: string; toWire(): RegisteredClient }[] {
  const all = [
    ...clients.map((one) => ({ clientId: one.client.clientId, toWire: () => toWireRegistered(one) })),
    ...damaged.map((one) => {
      const shown = { ...one, clientId: shownId(one.clientId) };
      return { clientId: shown.clientId, toWire: () => toWireDamaged(shown) };
    }),
  ];
  return all.sort((a, b) => (a.clientId < b.clientId ? -1 : 1));
}

/** An id that no client can be registered with was written in the database: it may be of any length and content. */
function shownId(clientId: string): string {
  if (CLIENT_ID.test(clientId)) return clientId;
  return `?${createHash('sha256').update(clientId).digest('hex').slice(0, 32)}`;
}

const PAGE_TOKEN = /^after:([A-Za-z0-9._:?-]{1,64})$/;

/** Names the last client of a page: callers that may list clients may know it. */
function pageTokenOf(clientId: string): string {
  return Buffer.from(`after:${clientId}`).toString('base64url');
}

/** @throws Failure PAGE_TOKEN_INVALID */
function readPageToken(token: string): string {
  const clientId = PAGE_TOKEN.exec(Buffer.from(token.slice(0, MAX_TOKEN_BYTES), 'base64url').toString())?.[1];
  if (clientId !== undefined && pageTokenOf(clientId) === token) return clientId;
  throw new Failure('invalid-argument', 'PAGE_TOKEN_INVALID', 'The page token is not one of this listing.', {
    field: 'page_token',
  });
}

async function rotateCredential(
  service: AccessDependencies,
  request: RotateCredentialRequest,
  context: CallContext,
): Promise<RotateCredentialResponse> {
  const doing = begin(context);
  check(rotateRules, request);
  const { clientId, credential, overlapSeconds } = request;
  const made = credentialOf(credential, doing.at);
  await requireClientSignsIn(service, clientId, made);
  const othersExpire = new Date(doing.at.getTime() + overlapSeconds * 1000);
  await service.register.addCredential(clientId, made.credential, othersExpire, doing);
  return { client: await registered(service, clientId), token: made.token ?? '' };
}

async function updateClient(
  service: AccessDependencies,
  request: UpdateClientRequest,
  context: CallContext,
): Promise<UpdateClientResponse> {
  const { by } = begin(context);
  check(updateClientRules, onlyNamedClientFields(request));
  const { client, updateMask = [], etag } = request;
  if (client === undefined) throw new Error('a checked request has a client');
  const { clientId } = client;
  if (clientId === by) {
    const sentence = 'A client cannot change its own rights: another administrator does.';
    throw new Failure('permission-denied', 'CLIENT_IS_OWN', sentence, { field: 'client.client_id' });
  }
  context.account({ facts: { changed_client: clientId } });
  context.note({ changed_fields: [...new Set(updateMask)].sort().join(', ') });
  try {
    await service.rights.update(clientId, etag, clientPatch(client, new Set(updateMask as ClientPath[])));
  } catch (thrown) {
    // The request has it in a message of its own.
    throw thrown instanceof Failure && thrown.detail.field === 'client_id' ? thrown.within('client') : thrown;
  }
  return { client: await registered(service, clientId) };
}

async function revokeCredential(
  service: AccessDependencies,
  request: RevokeCredentialRequest,
  context: CallContext,
): Promise<RevokeCredentialResponse> {
  const doing = begin(context);
  check(revokeRules, request);
  const { clientId, credentialId } = request;
  context.account({ facts: { changed_client: clientId, revoked_credential: credentialId } });
  await service.rights.revokeCredential(clientId, credentialId, doing);
  return { client: await registered(service, clientId) };
}

async function disableClient(
  service: AccessDependencies,
  request: DisableClientRequest,
  context: CallContext,
): Promise<DisableClientResponse> {
  const doing = begin(context);
  check(disableRules, request);
  await service.register.disableClient(request.clientId, request.reason, doing);
  return { client: await registered(service, request.clientId) };
}

/** A client that is not known here yet is refused by the register. */
async function requireClientSignsIn(
  { directory, signIns }: AccessDependencies,
  clientId: string,
  { credential }: MadeCredential,
): Promise<void> {
  if (credential.kind !== 'oidc') return;
  await directory.refresh();
  const found = directory.byId(clientId);
  if (found !== undefined) requireSignInFor(found.client, credential, signIns);
}

function begin(context: CallContext): Doing {
  context.authorize({ purpose: 'none', galleries: [] });
  return { by: context.principal.client.clientId, at: new Date() };
}

/** The client as it is in force now. */
async function registered({ directory }: AccessDependencies, clientId: string) {
  await directory.refresh();
  const found: Registered | undefined = directory.byId(clientId);
  return found && toWireRegistered(found);
}

function credentialOf(credential: NewCredential | undefined, now: Date): MadeCredential {
  return makeCredential(wantedOf(credential), credential?.expireTime, now);
}

function wantedOf(credential: NewCredential | undefined): WantedCredential {
  const how = credential?.how;
  if (how?.$case === 'certificate') return { kind: 'certificate', certificate: how.value };
  if (how?.$case === 'certificateName')
    return { kind: 'certificate-name', name: how.value.name, issuer: how.value.issuer };
  if (how?.$case === 'oidc') return { kind: 'oidc', ...how.value };
  return { kind: 'token' };
}
