import { Failure } from '../failure.ts';
import type { CertificateFacts } from '../security/peer-certificate.ts';
import type { Action } from './actions.ts';
import type { ClientDirectory, Found } from './client-directory.ts';
import type { Decider } from './grant.ts';
import type { Principal } from './principal.ts';
import { isToken, tokenFingerprint } from './tokens.ts';

/** What a caller shows about itself, as far as its transport has verified it. */
export interface Presented {
  /** Of a certificate that the service's authorities have issued. */
  readonly certificate?: CertificateFacts | undefined;
  /** Values of the header `authorization`. */
  readonly authorization: readonly string[];
}

/** A call that has been let in. */
export interface Admission {
  readonly principal: Principal;
  /** Aborted, with a Failure as reason, when its client is disabled or the credential ends. */
  readonly end: AbortSignal;
  /** To be called when the call has ended. */
  readonly leave: () => void;
}

/** Clients that were known and not permitted, by the refusal. */
const refusedPrincipals = new WeakMap<object, Principal>();

/** Who was refused, where the refusal is about a permission. */
export function refusedPrincipal(thrown: unknown): Principal | undefined {
  return typeof thrown === 'object' && thrown !== null ? refusedPrincipals.get(thrown) : undefined;
}

const BEARER = /^Bearer +(\S+)$/i;

/** Lets callers in that registered clients stand for, and ends their calls when they no longer do. */
export class Gatekeeper {
  readonly #directory: ClientDirectory;
  readonly #decider: Pick<Decider, 'mayTake'>;
  readonly #now: () => number;
  readonly #calls = new Map<AbortController, Principal>();

  /** @param now - milliseconds since 1970, for the expiry of credentials */
  constructor(directory: ClientDirectory, decider: Pick<Decider, 'mayTake'>, now = Date.now) {
    this.#directory = directory;
    this.#decider = decider;
    this.#now = now;
    directory.onChange(() => this.review());
  }

  /**
   * Finds out who calls, and whether it may take one of these actions at all.
   * @param actions - empty: any client may
   * @throws Failure CREDENTIALS_REQUIRED, CREDENTIALS_UNREADABLE, CREDENTIALS_UNKNOWN, CREDENTIALS_CONFLICT,
   * CREDENTIAL_EXPIRED, CREDENTIAL_REVOKED, CLIENT_DISABLED, ACTION_NOT_PERMITTED
   */
  admit(presented: Presented, actions: readonly Action[]): Admission {
    const principal = this.identify(presented);
    if (actions.length > 0 && !actions.some((action) => this.#decider.mayTake(principal.client, action))) {
      const sentence = `The roles of the client ${principal.client.clientId} do not permit this call.`;
      const failure = new Failure('permission-denied', 'ACTION_NOT_PERMITTED', sentence);
      refusedPrincipals.set(failure, principal);
      throw failure;
    }
    const controller = new AbortController();
    this.#calls.set(controller, principal);
    return { principal, end: controller.signal, leave: () => void this.#calls.delete(controller) };
  }

  /** Who calls. @throws as `admit` */
  identify({ certificate, authorization }: Presented): Principal {
    const byToken = authorization.length === 0 ? undefined : this.#byToken(authorization);
    const byCertificate = certificate && this.#byCertificate(certificate);
    const found = byToken ?? byCertificate;
    if (found === undefined) {
      if (certificate === undefined)
        throw refused(
          'CREDENTIALS_REQUIRED',
          'The call shows neither a certificate nor a token (authorization: Bearer …).',
        );
      throw refused('CREDENTIALS_UNKNOWN', 'The certificate belongs to no registered client.');
    }
    if (byToken && byCertificate && byToken.registered !== byCertificate.registered)
      throw refused('CREDENTIALS_CONFLICT', 'The certificate and the token belong to different clients.');
    for (const one of [byToken, byCertificate]) {
      const why = one && this.#fault(one);
      if (why !== undefined) throw why;
    }
    return principalOf(found, certificate);
  }

  /** Ends the calls whose credential is no longer valid. To be called regularly, for those that expire. */
  review(): void {
    for (const [controller, principal] of [...this.#calls]) {
      const why = this.#stillStands(principal);
      if (why === undefined) continue;
      this.#calls.delete(controller);
      controller.abort(why);
    }
  }

  /** Number of calls that are under way. */
  get calls(): number {
    return this.#calls.size;
  }

  #stillStands({ client, credential }: Principal): Failure | undefined {
    const registered = this.#directory.byId(client.clientId);
    const own = registered?.credentials.find(({ credentialId }) => credentialId === credential.credentialId);
    if (registered === undefined || own === undefined)
      return refused('CREDENTIALS_UNKNOWN', 'The credential is no longer registered.');
    return this.#fault({ registered, credential: own });
  }

  #byToken(values: readonly string[]): Found {
    const token = values.length === 1 ? BEARER.exec(values[0] ?? '')?.[1] : undefined;
    if (token === undefined || !isToken(token)) {
      const sentence = 'The header authorization is not "Bearer" and a token of this service.';
      throw refused('CREDENTIALS_UNREADABLE', sentence, 'authorization');
    }
    const found = this.#directory.byFingerprint('token', tokenFingerprint(token));
    if (found === undefined) throw refused('CREDENTIALS_UNKNOWN', 'The token belongs to no registered client.');
    return found;
  }

  #byCertificate({ fingerprint, names, issuers }: CertificateFacts): Found | undefined {
    return this.#directory.byFingerprint('certificate', fingerprint) ?? this.#directory.byName(names, issuers);
  }

  #fault({ registered, credential }: Found): Failure | undefined {
    const { clientId } = registered.client;
    if (registered.disableTime !== undefined)
      return refused('CLIENT_DISABLED', `The client ${clientId} has been disabled.`);
    if (credential.revokeTime !== undefined)
      return refused('CREDENTIAL_REVOKED', `This credential of the client ${clientId} has been revoked.`);
    if (credential.expireTime !== undefined && credential.expireTime.getTime() <= this.#now())
      return refused('CREDENTIAL_EXPIRED', `This credential of the client ${clientId} has expired.`);
    return undefined;
  }
}

function principalOf({ registered, credential }: Found, certificate: CertificateFacts | undefined): Principal {
  const { credentialId, kind, fingerprint } = credential;
  return {
    client: registered.client,
    credential: {
      credentialId,
      kind: kind === 'token' ? 'token' : 'certificate',
      fingerprint: (kind === 'certificate-name' ? certificate?.fingerprint : fingerprint) ?? '',
    },
  };
}

function refused(reason: string, sentence: string, field?: string): Failure {
  return new Failure('unauthenticated', reason, sentence, field === undefined ? {} : { field });
}
