import { Failure } from '../failure.ts';
import type { CertificateFacts } from '../security/peer-certificate.ts';
import type { Action } from './actions.ts';
import type { ClientDirectory, Found, RegisteredClient } from './client-directory.ts';
import type { Decider } from './grant.ts';
import type { Principal, Role } from './principal.ts';
import { looksSigned, subjectFingerprint, type SignIn, type SignIns } from './sign-in.ts';
import { isToken, tokenFingerprint } from './tokens.ts';

/** What a caller shows about itself, as far as its transport has verified it. */
export interface Presented {
  /** Of a certificate that the service's authorities have issued. */
  readonly certificate?: CertificateFacts | undefined;
  /** Values of the header `authorization`. */
  readonly authorization: readonly string[];
  /** What the signed token in the header says, once it is verified. */
  readonly signIn?: SignIn | undefined;
}

/** A call that has been let in. */
export interface Admission {
  /** With the rights that the client has now: they may change while the call is under way. */
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
/** What these roles decide binds others: a password alone is not enough where the provider can ask for more. */
const SECOND_FACTOR_ROLES: readonly Role[] = ['supervisor', 'administrator'];
/** While the service has no providers, every signed token is of an unknown one. */
const NO_SIGN_INS: SignIns = {
  verify: () => Promise.reject(issuerUnknown()),
  trusts: () => false,
  agencyOf: () => undefined,
};

/** Lets callers in that registered clients stand for, and ends their calls when they no longer do. */
export class Gatekeeper {
  readonly #directory: ClientDirectory;
  readonly #decider: Pick<Decider, 'mayTake'>;
  readonly #now: () => number;
  readonly #signIns: SignIns;
  readonly #calls = new Map<AbortController, { principal: Principal }>();

  /** @param now - milliseconds since 1970, for the expiry of credentials */
  constructor(directory: ClientDirectory, decider: Pick<Decider, 'mayTake'>, now = Date.now, signIns = NO_SIGN_INS) {
    this.#directory = directory;
    this.#decider = decider;
    this.#now = now;
    this.#signIns = signIns;
    directory.onChange(() => this.review());
  }

  /**
   * Verifies what takes time to verify: the token of a person, which a provider has signed.
   * @returns what is presented, to be handed to `admit`; undefined: there is no such token
   * @throws Failure, see SignIns.verify; the promise rejects
   */
  verified(presented: Presented): Promise<Presented> | undefined {
    const token = bearerOf(presented.authorization);
    if (token === undefined || !looksSigned(token)) return undefined;
    return this.#signIns.verify(token).then((signIn) => ({ ...presented, signIn }));
  }

  /**
   * Finds out who calls, and whether it may take one of these actions at all.
   * @param actions - empty: any client may
   * @throws Failure CREDENTIALS_REQUIRED, CREDENTIALS_UNREADABLE, CREDENTIALS_UNKNOWN, CREDENTIALS_CONFLICT,
   * CREDENTIAL_EXPIRED, CREDENTIAL_REVOKED, CLIENT_DISABLED, SIGN_IN_ISSUER_UNKNOWN, SIGN_IN_PROVIDER_CHANGED,
   * SIGN_IN_PERSONS_ONLY, SIGN_IN_AGENCY_WRONG, SIGN_IN_EXPIRED, SECOND_FACTOR_REQUIRED, ACTION_NOT_PERMITTED
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
    const call = { principal };
    this.#calls.set(controller, call);
    return {
      get principal() {
        return call.principal;
      },
      end: controller.signal,
      leave: () => void this.#calls.delete(controller),
    };
  }

  /** Who calls. @throws as `admit` */
  identify({ certificate, authorization, signIn }: Presented): Principal {
    const byToken = authorization.length === 0 ? undefined : this.#byToken(authorization, signIn);
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
      const why = one && this.#fault(one, signIn);
      if (why !== undefined) throw why;
    }
    return principalOf(found, certificate, signIn);
  }

  /**
   * Ends the calls whose credential is no longer valid, and gives the others the rights that their clients have now. To
   * be called regularly, for credentials that expire.
   */
  review(): void {
    for (const [controller, call] of [...this.#calls]) {
      const why = this.#stillStands(call.principal);
      if (why === undefined) {
        const client = this.#directory.byId(call.principal.client.clientId)?.client;
        if (client !== undefined && client !== call.principal.client) call.principal = { ...call.principal, client };
        continue;
      }
      this.#calls.delete(controller);
      controller.abort(why);
    }
  }

  /** Number of calls that are under way. */
  get calls(): number {
    return this.#calls.size;
  }

  #stillStands({ client, credential, signIn }: Principal): Failure | undefined {
    const registered = this.#directory.byId(client.clientId);
    const own = registered?.credentials.find(({ credentialId }) => credentialId === credential.credentialId);
    if (registered === undefined || own === undefined)
      return refused('CREDENTIALS_UNKNOWN', 'The credential is no longer registered.');
    return this.#fault({ registered, credential: own }, signIn);
  }

  #byToken(values: readonly string[], signIn: SignIn | undefined): Found {
    const token = bearerOf(values);
    if (token !== undefined && signIn !== undefined && looksSigned(token)) return this.#bySignIn(signIn);
    if (token === undefined || !isToken(token)) {
      const sentence = 'The header authorization is not "Bearer" and a token of this service.';
      throw refused('CREDENTIALS_UNREADABLE', sentence, 'authorization');
    }
    const found = this.#directory.byFingerprint('token', tokenFingerprint(token));
    if (found === undefined) throw refused('CREDENTIALS_UNKNOWN', 'The token belongs to no registered client.');
    return found;
  }

  #bySignIn({ issuer, subject }: SignIn): Found {
    const found = this.#directory.byFingerprint('oidc', subjectFingerprint(issuer, subject));
    if (found === undefined) throw refused('CREDENTIALS_UNKNOWN', 'The token is of a person who is no client.');
    return found;
  }

  #byCertificate({ fingerprint, names, issuers }: CertificateFacts): Found | undefined {
    return this.#directory.byFingerprint('certificate', fingerprint) ?? this.#directory.byName(names, issuers);
  }

  #fault({ registered, credential }: Found, signIn: SignIn | undefined): Failure | undefined {
    const { clientId } = registered.client;
    if (registered.disableTime !== undefined)
      return refused('CLIENT_DISABLED', `The client ${clientId} has been disabled.`);
    if (credential.revokeTime !== undefined)
      return refused('CREDENTIAL_REVOKED', `This credential of the client ${clientId} has been revoked.`);
    if (credential.expireTime !== undefined && credential.expireTime.getTime() <= this.#now())
      return refused('CREDENTIAL_EXPIRED', `This credential of the client ${clientId} has expired.`);
    return credential.kind === 'oidc' ? this.#signInFault(registered, signIn) : undefined;
  }

  #signInFault({ client }: RegisteredClient, signIn: SignIn | undefined): Failure | undefined {
    if (signIn === undefined || this.#signIns.agencyOf(signIn.issuer) === undefined) return issuerUnknown();
    if (!this.#signIns.trusts(signIn))
      return refused('SIGN_IN_PROVIDER_CHANGED', 'The settings of the provider have changed meanwhile: call again.');
    if (client.kind !== 'person')
      return refused('SIGN_IN_PERSONS_ONLY', `The client ${client.clientId} is a machine, which cannot sign in.`);
    if (client.agency !== signIn.agency)
      return refused('SIGN_IN_AGENCY_WRONG', 'The provider signs in persons of another agency.');
    if (signIn.endTime.getTime() <= this.#now())
      return refused('SIGN_IN_EXPIRED', 'The sign-in has expired: sign in again.');
    if (signIn.secondFactor === 'missing' && SECOND_FACTOR_ROLES.some((role) => client.roles.has(role)))
      return refused('SECOND_FACTOR_REQUIRED', 'A role of the client requires a sign-in with a second factor.');
    return undefined;
  }
}

/** @returns undefined: the header is missing, or not one token */
function bearerOf(values: readonly string[]): string | undefined {
  return values.length === 1 ? BEARER.exec(values[0] ?? '')?.[1] : undefined;
}

function issuerUnknown(): Failure {
  return refused('SIGN_IN_ISSUER_UNKNOWN', 'The token is of a provider that the service does not know.');
}

function principalOf(
  { registered, credential }: Found,
  certificate: CertificateFacts | undefined,
  signIn: SignIn | undefined,
): Principal {
  const { credentialId, kind, fingerprint } = credential;
  return {
    client: registered.client,
    credential: {
      credentialId,
      kind: kind === 'certificate-name' ? 'certificate' : kind,
      fingerprint: (kind === 'certificate-name' ? certificate?.fingerprint : fingerprint) ?? '',
    },
    signIn: kind === 'oidc' ? signIn : undefined,
  };
}

function refused(reason: string, sentence: string, field?: string): Failure {
  return new Failure('unauthenticated', reason, sentence, field === undefined ? {} : { field });
}
