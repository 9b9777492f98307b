import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs';
import { Failure } from '../failure.ts';
import { PURPOSES, type Action, type Purpose } from './actions.ts';
import { actionUid, callContext, clientEntity, galleryEntity, SERVICE } from './cedar-entities.ts';
import { DecidedGrant } from './decided-grant.ts';
import type { Asked, Decider, Grant, RecordFacts } from './grant.ts';
import type { PolicySet } from './policy-set.ts';
import type { Client } from './principal.ts';
import type { RecordAction } from './record-class.ts';
import { RecordDecisions } from './record-decisions.ts';
import { RecordNumbers } from './record-numbers.ts';

/** Clients whose decisions are kept; beyond it, the decisions about the client kept for longest are made anew. */
const MAX_CLIENTS = 1024;
/** Decisions about calls kept for clients of one profile: they depend on names that callers choose. */
const MAX_CALLS = 256;
/** Grants kept for one client. */
const MAX_GRANTS = 32;
/** Galleries named by one call; the contract allows fewer. */
const MAX_GALLERIES = 64;
/** Galleries named by a call whose grant is kept. */
const MAX_KEPT_GALLERIES = 8;
/** Bytes of kept decisions about records, over all clients. */
const MAX_RECORD_BYTES = 32 * 1024 * 1024;

/** Calls that concern galleries. The other calls have none. */
const OF_GALLERIES: ReadonlySet<Action> = new Set<Action>([
  'identify',
  'verify',
  'enroll',
  'update',
  'expunge',
  'get-subject',
  'list-subjects',
  'find-duplicates',
]);

/** The galleries that exist. Names are only ever added. */
export interface KnownGalleries {
  readonly count: number;
  readonly all: Iterable<string>;
}

/** Decisions about clients that no policy can tell apart, such as the gates of an agency. */
interface Profile {
  readonly entity: EntityJson;
  readonly actions: Map<Action, boolean>;
  readonly calls: Map<string, boolean>;
  readonly records: Map<string, RecordDecisions>;
}

/** What is kept for one client under one version of the policies. */
interface Kept {
  readonly client: Client;
  readonly policies: PolicySet;
  readonly profile: Profile;
  readonly grants: Map<string, Grant>;
}

/**
 * Who may do what. Policies answer each question once for a client object and a version of the policies; a registry
 * must give the same object for a client until something about it changes, and then another.
 */
export class Decisions implements Decider {
  readonly #policies: { readonly current: PolicySet };
  readonly #known: KnownGalleries;
  readonly #kept = new Map<string, Kept>();
  /** By attributes of the clients. */
  readonly #profiles = new Map<string, Profile>();
  #numbers = new RecordNumbers();
  #recordBytes = 0;
  #decidedBy: PolicySet | undefined;

  /** @param known - galleries of the store, for clients that may use all */
  constructor(policies: { readonly current: PolicySet }, known: KnownGalleries) {
    this.#policies = policies;
    this.#known = known;
  }

  mayTake(client: Client, action: Action): boolean {
    const kept = this.#keptFor(client);
    const known = kept.profile.actions.get(action);
    if (known !== undefined) return known;
    const may = PURPOSES.some((purpose) => this.#permitsCall(kept, action, purpose, undefined, undefined));
    kept.profile.actions.set(action, may);
    return may;
  }

  authorize(client: Client, request: Asked): Grant {
    const kept = this.#keptFor(client);
    const { action, purpose, galleries, contributor } = request;
    const isOpen = galleries.length === 0;
    if (galleries.length > MAX_GALLERIES) throw refusal('GALLERY_NOT_PERMITTED', 'galleries');
    // What "all galleries" means changes when there are more of them.
    const key = JSON.stringify([action, purpose, contributor ?? null, isOpen ? this.#known.count : galleries]);
    const granted = kept.grants.get(key);
    if (granted !== undefined) return granted;

    if (!this.mayTake(client, action)) throw refusal('ACTION_NOT_PERMITTED');
    if (!this.#permitsCall(kept, action, purpose, undefined, undefined)) throw refusal('PURPOSE_NOT_PERMITTED');
    if (contributor !== undefined && !this.#permitsCall(kept, action, purpose, contributor, undefined))
      throw refusal('CONTRIBUTOR_NOT_PERMITTED', 'contributor');
    const allowed = this.#galleriesOf(kept, request);
    const records = this.#recordsOf(kept, action, purpose);
    const grant = new DecidedGrant(client, request, allowed, kept.policies.hash, records);
    if (galleries.length <= MAX_KEPT_GALLERIES) keep(kept.grants, MAX_GRANTS, key, grant);
    return grant;
  }

  /**
   * A decision about records outside of a call that was authorized, e.g. who else may see a hit.
   * @param call - during which it happens
   */
  allowsRecord(client: Client, action: RecordAction, call: Action, purpose: Purpose, record: RecordFacts): boolean {
    if (!holds(client, purpose)) return false;
    return this.#recordsOf(this.#keptFor(client), call, purpose).permits(action, record);
  }

  /** Galleries that the call may use; empty: all. */
  #galleriesOf(kept: Kept, { action, purpose, galleries, contributor }: Asked): ReadonlySet<string> {
    if (!OF_GALLERIES.has(action)) return new Set();
    const permits = (name: string) => this.#permitsCall(kept, action, purpose, contributor, name);
    if (galleries.length > 0) {
      const refused = galleries.findIndex((name) => !permits(name));
      if (refused >= 0) throw refusal('GALLERY_NOT_PERMITTED', `galleries[${refused}]`);
      return new Set(galleries);
    }
    const own = kept.client.galleries;
    const known = [...this.#known.all];
    const asked = own === 'all' ? known : existing(own, known);
    const allowed = asked.filter(permits);
    // All galleries without exception need no list. A list of none would mean all.
    if (own === 'all' && allowed.length === asked.length) return new Set();
    if (allowed.length === 0) throw refusal('GALLERY_NOT_PERMITTED', 'galleries');
    return new Set(allowed);
  }

  #permitsCall(
    kept: Kept,
    action: Action,
    purpose: Purpose,
    contributor: string | undefined,
    gallery: string | undefined,
  ): boolean {
    const { client, policies, profile } = kept;
    // Policies cannot give a client more than it was registered for; and a name out of its list costs no decision.
    if (!holds(client, purpose)) return false;
    if (gallery !== undefined && client.galleries !== 'all' && !client.galleries.has(gallery)) return false;
    const key = JSON.stringify([action, purpose, contributor ?? null, gallery ?? null]);
    let permitted = profile.calls.get(key);
    if (permitted === undefined) {
      permitted = policies.permits({
        principal: profile.entity,
        action: actionUid(action),
        resource: gallery === undefined ? SERVICE : galleryEntity(gallery),
        context: callContext(purpose, contributor),
      });
      keep(profile.calls, MAX_CALLS, key, permitted);
    }
    return permitted;
  }

  #recordsOf(kept: Kept, call: Action, purpose: Purpose): RecordDecisions {
    const key = `${call} ${purpose}`;
    const { client, policies, profile } = kept;
    let records = profile.records.get(key);
    if (records === undefined) {
      const onGrowth = (bytes: number) => {
        this.#recordBytes += bytes;
      };
      records = new RecordDecisions(client, call, purpose, policies, this.#numbers, onGrowth);
      profile.records.set(key, records);
    }
    return records;
  }

  #keptFor(client: Client): Kept {
    if (this.#numbers.isFull || this.#recordBytes > MAX_RECORD_BYTES) this.#forgetAll();
    const policies = this.#policies.current;
    let kept = this.#kept.get(client.clientId);
    if (kept?.client === client && kept.policies === policies) return kept;
    // Decisions by other policies are of no use any more.
    if (this.#decidedBy !== policies) this.#forgetAll();
    this.#decidedBy = policies;
    kept = { client, policies, profile: this.#profileOf(client, policies), grants: new Map() };
    keepNewest(this.#kept, client.clientId, kept);
    return kept;
  }

  #profileOf(client: Client, policies: PolicySet): Profile {
    const entity = clientEntity(client);
    const key = JSON.stringify([policies.reading.clients.has(client.clientId) ? client.clientId : null, entity.attrs]);
    let profile = this.#profiles.get(key);
    if (profile === undefined) {
      profile = { entity, actions: new Map(), calls: new Map(), records: new Map() };
      keepNewest(this.#profiles, key, profile);
    }
    return profile;
  }

  /** Grants under way keep what they have. */
  #forgetAll(): void {
    this.#kept.clear();
    this.#profiles.clear();
    this.#numbers = new RecordNumbers();
    this.#recordBytes = 0;
  }
}

/** The galleries of a client that exist, since a search in one that never existed is refused; if none does, all of them. */
function existing(own: ReadonlySet<string>, known: readonly string[]): readonly string[] {
  const found = known.filter((name) => own.has(name));
  return found.length > 0 ? found : [...own];
}

/** Every client has calls without a purpose. */
function holds(client: Client, purpose: Purpose): boolean {
  return purpose === 'none' || client.purposes.has(purpose);
}

function keepNewest<T>(kept: Map<string, T>, key: string, value: T): void {
  kept.delete(key);
  kept.set(key, value);
  const [eldest] = kept.keys();
  if (kept.size > MAX_CLIENTS && eldest !== undefined) kept.delete(eldest);
}

function keep<T>(kept: Map<string, T>, limit: number, key: string, value: T): void {
  if (kept.size >= limit) kept.clear();
  kept.set(key, value);
}

const SENTENCES = {
  ACTION_NOT_PERMITTED: 'The client is not permitted to make this call.',
  PURPOSE_NOT_PERMITTED: 'The client is not permitted to make this call for this purpose.',
  CONTRIBUTOR_NOT_PERMITTED: 'The client is not permitted to act for this contributor.',
  GALLERY_NOT_PERMITTED: 'The client is not permitted to make this call in this gallery.',
} as const;

function refusal(reason: keyof typeof SENTENCES, field?: string): Failure {
  return new Failure('permission-denied', reason, SENTENCES[reason], field === undefined ? {} : { field });
}
