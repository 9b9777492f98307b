import { ClientKind, Role, type Client } from '../../contract/generated/ridgewatch/v1/access.ts';
import { Purpose } from '../../contract/generated/ridgewatch/v1/identification.ts';
import { Failure } from '../../failure.ts';
import { agreed } from '../confirmation.ts';
import { EXIT } from '../exit-codes.ts';
import { printResult } from '../output.ts';
import { PURPOSES, type ConnectionOptions } from '../shared-options.ts';
import { describe, documentOf, withService } from './client.ts';

interface UpdateOptions extends ConnectionOptions {
  readonly etag?: string;
  readonly role?: readonly string[];
  readonly gallery?: readonly string[];
  readonly allGalleries?: boolean;
  /** False: none. */
  readonly galleries?: boolean;
  readonly purpose?: readonly string[];
  /** False: none. */
  readonly purposes?: boolean;
  readonly clearance?: number;
  readonly callsPerSecond?: number;
  readonly streams?: number;
  readonly verificationsPerDay?: number;
}

/** Changes what a client may do. What is not named stays. */
export async function updateClient([clientId]: readonly string[], options: UpdateOptions): Promise<number> {
  const { client, updateMask } = changesOf(clientId, options);
  if (updateMask.length === 0)
    throw new Failure(
      'invalid-argument',
      'USAGE',
      'Nothing is to be changed: name a role, a gallery, a purpose or a limit.',
    );
  return withService(options, async (service) => {
    const etag = options.etag ?? (await service.listClients()).find((one) => one.client?.clientId === clientId)?.etag;
    if (etag === undefined) throw new Failure('not-found', 'CLIENT_NOT_FOUND', 'There is no client with this id.');
    const { client: changed } = await service.updateClient({ client, updateMask, etag });
    printResult(options, documentOf(changed), changed === undefined ? '' : describe(changed));
    return EXIT.ok;
  });
}

function changesOf(clientId: string, options: UpdateOptions): { client: Client; updateMask: string[] } {
  const { role, gallery, allGalleries, galleries, purpose, purposes } = options;
  const { clearance, callsPerSecond, streams, verificationsPerDay } = options;
  const named: Readonly<Record<string, unknown>> = {
    roles: role,
    galleries: gallery ?? allGalleries ?? (galleries === false || undefined),
    purposes: purpose ?? (purposes === false || undefined),
    clearance,
    calls_per_second: callsPerSecond,
    streams,
    verifications_per_day: verificationsPerDay,
  };
  return {
    client: {
      clientId,
      kind: ClientKind.UNSPECIFIED,
      agency: '',
      roles: (role ?? []).map((name) => Role[name.toUpperCase() as keyof typeof Role]),
      allGalleries: allGalleries === true,
      galleries: [...(gallery ?? [])],
      purposes: (purpose ?? []).map((name) => PURPOSES[name] ?? Purpose.UNSPECIFIED),
      clearance: clearance ?? 0,
      callsPerSecond: callsPerSecond ?? 0,
      streams: streams ?? 0,
      verificationsPerDay: verificationsPerDay ?? 0,
    },
    updateMask: Object.keys(named).filter((field) => named[field] !== undefined),
  };
}

/** Refuses a credential from now on. */
export async function revokeCredential(
  [clientId, credentialId]: readonly string[],
  options: ConnectionOptions & { readonly yes?: boolean },
): Promise<number> {
  const question = `Credential ${credentialId} of client ${clientId} will be refused for ever, and its calls end.`;
  if (!(await agreed(options, question))) return EXIT.refused;
  return withService(options, async (service) => {
    const { client } = await service.revokeCredential({ clientId, credentialId });
    const sentence = `Credential ${credentialId} is revoked; no call that it stands for is under way.`;
    printResult(options, documentOf(client), sentence);
    return EXIT.ok;
  });
}
