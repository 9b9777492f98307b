import type { ClientDirectory, RegisteredClient as Registered } from '../access/client-directory.ts';
import { makeCredential, type MadeCredential, type WantedCredential } from '../access/new-credential.ts';
import { requireSignInFor } from '../access/sign-in-rules.ts';
import type { SignIns } from '../access/sign-in.ts';
import { Failure } from '../failure.ts';
import type { Client } from '../access/principal.ts';
import type {
  AccessServer,
  AddClientRequest,
  AddClientResponse,
  DisableClientRequest,
  DisableClientResponse,
  ListClientsResponse,
  NewCredential,
  RotateCredentialRequest,
  RotateCredentialResponse,
} from '../contract/generated/ridgewatch/v1/access.ts';
import { addClientRules, disableRules, rotateRules } from '../contract/client-rules.ts';
import { check } from '../contract/validation.ts';
import { fromWireClient, toWireDamaged, toWireRegistered } from '../contract/wire-clients.ts';
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

interface Doing {
  readonly by: string;
  readonly at: Date;
}

export interface AccessDependencies {
  readonly register: ClientRegister;
  readonly directory: ClientDirectory;
  readonly signIns: Pick<SignIns, 'agencyOf'>;
}

/** One answer holds all clients, and the directory all of them in memory. */
const MAX_CLIENTS = 10_000;
/** Damaged clients in one answer: an attacker may add any number. */
const MAX_DAMAGED = 1000;

/** The `Access` service. A change is in force when its call returns. */
export function accessService(service: AccessDependencies, settings: CallSettings): AccessServer {
  return {
    addClient: unary('Access/AddClient', settings, (request: AddClientRequest, context) =>
      addClient(service, request, context),
    ),
    listClients: unary('Access/ListClients', settings, (_, context) => listClients(service, context)),
    rotateCredential: unary('Access/RotateCredential', settings, (request: RotateCredentialRequest, context) =>
      rotateCredential(service, request, context),
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

async function listClients(service: AccessDependencies, context: CallContext): Promise<ListClientsResponse> {
  begin(context);
  await service.directory.refresh();
  const { clients, damaged } = service.directory;
  const listed = [...clients.map(toWireRegistered), ...damaged.slice(0, MAX_DAMAGED).map(toWireDamaged)];
  return { clients: listed.sort((a, b) => ((a.client?.clientId ?? '') < (b.client?.clientId ?? '') ? -1 : 1)) };
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
