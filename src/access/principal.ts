import type { Purpose } from './actions.ts';
import type { SignIn } from './sign-in.ts';

/** What a client is there for. Policies say what each role may do; a client may have several. */
export const ROLES = [
  'checkpoint',
  'contributor',
  'examiner',
  'supervisor',
  'operator',
  'auditor',
  'monitor',
  'administrator',
  'engineer',
] as const;

export type Role = (typeof ROLES)[number];

/** Limits on what a client may ask for; undefined: the service's default. */
export interface Budgets {
  /** Calls a second, on average. */
  readonly callsPerSecond?: number | undefined;
  /** Streams at a time. */
  readonly streams?: number | undefined;
  /** Comparisons with enrolled subjects a day. */
  readonly verificationsPerDay?: number | undefined;
}

/** A machine or a person that may call the service, as an administrator registered it. */
export interface Client {
  /** 1 to 64 characters of A-Z, a-z, 0-9, '.', '_', ':' and '-'. */
  readonly clientId: string;
  readonly kind: 'machine' | 'person';
  /** The agency it acts for: the contributor of what it enrols. */
  readonly agency: string;
  /** The agency's name in caveats (`REL-` and this): its letters in upper case, other characters as '-'. Unique. */
  readonly agencyCode: string;
  readonly roles: ReadonlySet<Role>;
  /** Names of the galleries that it may use; `all`: every one, also later ones. */
  readonly galleries: ReadonlySet<string> | 'all';
  readonly purposes: ReadonlySet<Purpose>;
  /** Highest classification that it may search: 0 none, 1 RESTRICTED, 2 CONFIDENTIAL, 3 SECRET. */
  readonly clearance: number;
  readonly budgets: Budgets;
}

/** What can be changed about a client. A field that is not given stays. */
export type ClientPatch = Partial<Pick<Client, 'roles' | 'galleries' | 'purposes' | 'clearance'>> & {
  /** A limit of undefined becomes the service's default. */
  readonly budgets?: Budgets;
};

/** How a caller showed who it is. */
export interface Credential {
  /** Id of the registered credential. */
  readonly credentialId: string;
  readonly kind: 'certificate' | 'token' | 'oidc';
  /** SHA-256 of the certificate (DER), of the token, or of a person's issuer and subject, hexadecimal. */
  readonly fingerprint: string;
}

/** A caller whose credential was checked. */
export interface Principal {
  readonly client: Client;
  readonly credential: Credential;
  /** What its provider has said of a person; only with a credential of kind `oidc`. */
  readonly signIn?: SignIn | undefined;
}

/** The code of an agency, see Client.agencyCode. */
export function agencyCodeOf(agency: string): string {
  return agency.toUpperCase().replace(/[^A-Z0-9]/g, '-');
}
