/** What the audit is told about calls. */
import type { Grant } from '../access/grant.ts';
import type { Presented } from '../access/gatekeeper.ts';
import type { Principal } from '../access/principal.ts';
import { subjectFingerprint } from '../access/sign-in.ts';
import { MAX_SUBJECTS, type AuditEntry, type AuditSink } from '../audit/audit-entry.ts';
import { hitEntries, type FoundRecord } from '../audit/hit-entries.ts';
import { inParts } from '../audit/parts.ts';
import type { TurnedAway } from './caller-gate.ts';
import type { Method } from './needs.ts';
import type { Failure } from '../failure.ts';
import { statusName } from './status.ts';

/** What a handler knows of its call, and the audit is to know. */
export type AuditDraft = Pick<
  AuditEntry,
  | 'checkpoint_id'
  | 'classes'
  | 'gallery_version'
  | 'index'
  | 'models'
  | 'calibrations'
  | 'probe'
  | 'candidates'
  | 'subject_id'
  | 'subjects'
  | 'log10_fmr'
  | 'charged'
  // Beside those of the log: names that a caller chose.
  | 'facts'
>;

/** Calls that concern no subject: their figures are of the service. */
const UNRECORDED: ReadonlySet<Method> = new Set<Method>(['Operations/GetStatus']);
const ADMINISTRATION: ReadonlySet<Method> = new Set<Method>([
  'Access/AddClient',
  'Access/RotateCredential',
  'Access/UpdateClient',
  'Access/RevokeCredential',
  'Access/DisableClient',
  'Gallery/ProposeExpunge',
  'Gallery/ApproveExpunge',
  'Operations/ReloadIndex',
]);

/** A finished call, or an answer that precedes its last one. */
export interface AuditedCall {
  readonly method: Method;
  readonly requestId: string;
  readonly principal: Principal;
  readonly peer: string;
  /** Undefined: it was refused before anything was permitted. */
  readonly grant: Grant | undefined;
  readonly begun: Date;
  readonly outcome: string;
  readonly reason: string | undefined;
  readonly facts: Readonly<Record<string, string | number | boolean>>;
  readonly draft: AuditDraft;
  /** Records that were found and whose owners have not been told. */
  readonly found: readonly FoundRecord[];
  /** Records that are not shown were searched, and this is not recorded yet. */
  readonly searchedSilently: boolean;
}

/** Resolves when the record is durable: only then may the answer leave. @throws Failure AUDIT_UNAVAILABLE */
export async function recordCall(audit: AuditSink, call: AuditedCall): Promise<void> {
  const { method, requestId, principal, peer, grant, begun, outcome, reason, facts, draft, found, searchedSilently } =
    call;
  if (UNRECORDED.has(method)) return;
  const { purpose, ...others } = facts;
  const entry: AuditEntry = {
    kind: ADMINISTRATION.has(method) ? 'administration' : 'call',
    begun: begun.toISOString(),
    ended: new Date().toISOString(),
    ...callerOf(principal),
    peer: withoutPort(peer),
    method,
    request_id: requestId,
    ...(grant && {
      action: grant.action,
      policy: grant.policyHash,
      galleries: [...grant.galleries].slice(0, MAX_NAMED),
    }),
    ...(typeof purpose === 'string' && { purpose }),
    ...draft,
    outcome,
    ...(reason !== undefined && { reason }),
    facts: { ...others, ...draft.facts, ...signInFacts(principal) },
  };
  // They are written first: where the call is recorded, no owner has missed its hit.
  const hits = hitEntries(entry, found, searchedSilently);
  if (hits.length > 0) await Promise.all(hits.map((hit) => audit.record(hit)));
  const { subjects = [] } = draft;
  if (subjects.length <= MAX_SUBJECTS) return audit.record(entry);
  await Promise.all(inParts(subjects, MAX_SUBJECTS).map((part) => audit.record({ ...entry, subjects: part })));
}

/** Galleries that a record names; the contract lets a call name fewer. */
const MAX_NAMED = 64;

function callerOf({ client, credential }: Principal) {
  const { clientId, kind, agency } = client;
  return { client_id: clientId, client_kind: kind, agency, credential: credential.fingerprint };
}

/** Finds the sign-in at the provider again. The token itself is nowhere. */
function signInFacts({ signIn }: Principal): { sign_in?: string } {
  return signIn?.tokenId === undefined ? {} : { sign_in: signIn.tokenId };
}

function withoutPort(peer: string): string {
  return peer.replace(/:\d+$/, '');
}

/** Different refusals that are counted at a time. */
const MAX_KEPT = 256;
const INTERVAL_MS = 1000;
/** Stands for whatever finds no room. */
const OTHERS = 'others';

interface Counted {
  readonly entry: AuditEntry;
  count: number;
}

/** A call of a known client that was refused before any work. */
export interface LimitedCall extends Pick<AuditedCall, 'method' | 'principal' | 'peer'> {
  readonly failure: Failure;
}

/**
 * Records callers that were not let in, or called too often. Equal refusals within a second are one record: neither a
 * caller without a credential nor one that keeps calling must fill the audit. A refusal is answered before it is
 * recorded.
 */
export class RefusalAudit {
  readonly #audit: AuditSink;
  readonly #counted = new Map<string, Counted>();
  #timer: NodeJS.Timeout | undefined;

  constructor(audit: AuditSink) {
    this.#audit = audit;
  }

  /** A call or request that the gate refused. */
  call({ path, failure, presented, peer, principal }: TurnedAway): void {
    const credential = credentialOf(presented);
    this.#note({
      ...this.#entry('refused', failure.reason, peer),
      ...(principal ? callerOf(principal) : credential && { credential }),
      method: path,
      outcome: statusName(failure),
    });
  }

  /** A call beyond what its client may make in its time. */
  limited({ method, failure, principal, peer }: LimitedCall): void {
    const entry = this.#entry('refused', failure.reason, peer);
    this.#note({ ...entry, ...callerOf(principal), method, outcome: statusName(failure) });
  }

  /** A connection that was refused in its handshake, or ended because its certificate no longer stands. */
  handshake(reason: string, peer: string, certificate: string | undefined): void {
    const credential = certificate === undefined ? {} : { credential: certificate };
    this.#note({ ...this.#entry('handshake', reason, peer), ...credential, outcome: 'UNAUTHENTICATED' });
  }

  /** Records what is counted. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const counted = [...this.#counted.values()];
    this.#counted.clear();
    await Promise.all(
      counted.map(({ entry, count }) =>
        // What cannot be recorded has been counted and logged.
        this.#audit.record({ ...entry, ended: new Date().toISOString(), count }).catch(() => undefined),
      ),
    );
  }

  #entry(kind: 'refused' | 'handshake', reason: string, peer: string) {
    const now = new Date().toISOString();
    return { kind, begun: now, ended: now, reason, peer: withoutPort(peer) };
  }

  #note(entry: AuditEntry): void {
    const key = JSON.stringify([entry.kind, entry.reason, entry.method, entry.peer, entry.credential]);
    const known = this.#counted.get(key) ?? (this.#counted.size >= MAX_KEPT ? this.#counted.get(OTHERS) : undefined);
    if (known !== undefined) known.count++;
    else if (this.#counted.size < MAX_KEPT) this.#counted.set(key, { entry, count: 1 });
    else this.#counted.set(OTHERS, { entry: withoutCaller(entry), count: 1 });
    this.#timer ??= setTimeout(() => void this.flush(), INTERVAL_MS).unref();
  }
}

function withoutCaller({ kind, begun, ended, outcome }: AuditEntry): AuditEntry {
  return { kind, begun, ended, outcome, reason: 'MANY_REFUSALS' };
}

/** Of a token of the service nothing is recorded: a mistyped one is nearly a secret. A verified sign-in has a person. */
function credentialOf({ certificate, signIn }: Presented): string | undefined {
  return certificate?.fingerprint ?? (signIn && subjectFingerprint(signIn.issuer, signIn.subject));
}
