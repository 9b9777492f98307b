/** The fields of an audit record. Plain data: a record is JSON. Never a template, never a probe. */
import { z } from 'zod';
import { Failure } from '../failure.ts';

/** Longest text of a caller, such as a checkpoint's name; longer ones are cut. */
const MAX_TEXT = 256;
const MAX_GALLERIES = 64;
/** The longest candidate list that a search answers. */
export const MAX_CANDIDATES = 500;
/** Subjects that a record names besides; a call with more leaves several records. */
export const MAX_SUBJECTS = 1000;
const MAX_MODELS = 64;
/** The contract allows fewer. */
const MAX_CAVEATS = 256;
const MAX_FACTS = 64;
/** Writers that a first record names. */
const MAX_HEADS = 100_000;
/** Ends a text that was cut. */
const CUT = '…';

/** PostgreSQL has no text with it. */
const NUL = /\0/g;

/** A text from outside: whatever a caller sent must not keep its call from being recorded. */
const text = z.string().transform((given) => {
  const whole = given
    .slice(0, MAX_TEXT + 1)
    .toWellFormed()
    .replace(NUL, '\ufffd');
  return whole.length <= MAX_TEXT ? whole : whole.slice(0, MAX_TEXT - 1).toWellFormed() + CUT;
});
const name = z.string().regex(/^[A-Za-z0-9._:/-]{1,128}$/);
const constant = z.string().regex(/^[A-Z][A-Z0-9_]{0,63}$/);
const count = z.int().nonnegative();
const hex = z.string().regex(/^[0-9a-f]{16,128}$/);
const uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
/** ISO 8601 in UTC, with milliseconds. */
const time = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

/**
 * What happened. `call`: a call was answered or failed; `refused`: calls were refused before their work; `handshake`: a
 * connection was refused; `start`, `stop`: of a writer; `administration`: a change of clients, policies or keys;
 * `checkpoint`: the writer is still there; `hit`: a search found records of an agency, which is to be told; without an
 * agency: a search of silent records found none.
 */
export const AUDIT_KINDS = [
  ...(['call', 'refused', 'handshake', 'start', 'stop', 'administration', 'checkpoint'] as const),
  'hit',
] as const;

const fields = {
  kind: z.enum(AUDIT_KINDS),
  begun: time,
  ended: time,
  client_id: name.optional(),
  /** Kind of client: `machine` or `person`. */
  client_kind: name.optional(),
  agency: text.optional(),
  /** SHA-256 of the certificate or token that the client showed, or of a person's issuer and subject, hexadecimal. */
  credential: hex.optional(),
  /** Network address of the caller, without port. */
  peer: text.optional(),
  /** e.g. `Identification/Identify`. */
  method: text.optional(),
  action: name.optional(),
  purpose: name.optional(),
  checkpoint_id: text.optional(),
  request_id: text.optional(),
  galleries: z.array(text).max(MAX_GALLERIES).optional(),
  /** Record classes that were searched: how many, and a digest of the list. */
  classes: z.strictObject({ count, digest: hex }).optional(),
  /** Number of the last change that the answer knew. */
  gallery_version: count.optional(),
  /** Digest of that change, see `SubjectStore.stateAt`. */
  store_state: hex.optional(),
  /** Name of the index. */
  index: text.optional(),
  /** Hash of each model that compared, by name. */
  models: z
    .record(name, text)
    .refine((given) => Object.keys(given).length <= MAX_MODELS)
    .optional(),
  /** Hash of each calibration, by name. */
  calibrations: z
    .record(name, text)
    .refine((given) => Object.keys(given).length <= MAX_MODELS)
    .optional(),
  /** Hash of the policies in force. */
  policy: hex.optional(),
  /** Keyed digest of what was searched with, see ProbeDigest. */
  probe: name.optional(),
  candidates: z
    .array(z.strictObject({ subject_id: text, rank: z.int().positive(), log10_fmr: z.number(), band: name }))
    .max(MAX_CANDIDATES)
    .optional(),
  /** The subject that the call was about, e.g. of Verify or ExpungeSubject. */
  subject_id: text.optional(),
  /** Subjects that the call enrolled, listed or compared, where they are many. */
  subjects: z.array(text).max(MAX_SUBJECTS).optional(),
  /** log10 of the fused false match rate of a comparison with `subject_id`. */
  log10_fmr: z.number().optional(),
  /**
   * Of kind `hit`, where `agency` is the owner of the records: what was found. `rank`: place in the list that the caller
   * was shown; not set: it was shown none.
   */
  hits: z
    .array(
      z.strictObject({
        hit_id: uuid,
        subject_id: uuid,
        /** Of the record at that time. */
        caveats: z.array(text).max(MAX_CAVEATS),
        provenance: name,
        rank: z.int().positive().optional(),
        log10_fmr: z.number(),
        band: name,
        silent: z.boolean(),
      }),
    )
    .max(MAX_CANDIDATES)
    .optional(),
  /** Of kind `hit`: the agency whose client searched. */
  searched_by: text.optional(),
  /**
   * What the call has cost of the budgets of comparisons: of the client's, and of the subject's. `is_hidden`: the subject
   * is counted apart, because the client cannot find it. `is_weak`: the answer was weaker than a mate's.
   */
  charged: z
    .strictObject({
      client: count,
      subject: count,
      is_hidden: z.boolean().optional(),
      is_weak: z.boolean().optional(),
    })
    .optional(),
  /** Name of the gRPC status, e.g. `OK`. */
  outcome: constant,
  reason: constant.optional(),
  /** Calls that this record stands for, if more than one. */
  count: z.int().positive().optional(),
  /** Further counts and names of things. */
  facts: z
    .record(name, z.union([text, z.number(), z.boolean()]))
    .refine((given) => Object.keys(given).length <= MAX_FACTS)
    .optional(),
};

const entrySchema = z.strictObject(fields);

/** The last record of a writer. */
const headSchema = z.strictObject({ writer: uuid, seq: z.int().positive(), hash: z.string().regex(/^[0-9a-f]{64}$/) });

/** What the first record of a writer names, in addition. */
const genesisSchema = z.strictObject({
  /** Identity of the store. */
  store: uuid,
  /** Fingerprint of the key that signs the writer's heads. */
  key: z.string().regex(/^[0-9a-f]{64}$/),
  program: text,
  /**
   * Heads of the writers before it: all of them after a restore, else those that no earlier writer has named. None can
   * be removed or cut short unseen.
   */
  heads: z.array(headSchema).max(MAX_HEADS),
  /** The writer begins with the content of a backup: what earlier writers recorded after it is lost. */
  restored: z.boolean().optional(),
});

/** A whole record: an entry with its place in a chain. */
const recordSchema = z.strictObject({
  ...fields,
  v: z.literal(1),
  /** UUID of the process that wrote it. */
  writer: uuid,
  /** Counts the writer's records, from 1. */
  seq: z.int().positive(),
  /** 128 random bits: the digest of a record does not give its content away. */
  salt: z.string().regex(/^[A-Za-z0-9_-]{22}$/),
  genesis: genesisSchema.optional(),
});

export type AuditEntry = z.input<typeof entrySchema>;
export type AuditRecord = z.output<typeof recordSchema>;
export type Genesis = z.output<typeof genesisSchema>;
export type Head = z.output<typeof headSchema>;

/** Where calls are recorded. */
export interface AuditSink {
  /**
   * Resolves when the record is durable: only then may the answer leave.
   * @throws Failure AUDIT_UNAVAILABLE: the call must be refused; AUDIT_ENTRY_INVALID, a defect
   */
  record(entry: AuditEntry): Promise<void>;
}

/** @throws Failure AUDIT_ENTRY_INVALID: names the fields, never their values */
export function checkedEntry(entry: AuditEntry): z.output<typeof entrySchema> {
  const parsed = entrySchema.safeParse(entry);
  if (parsed.success) return parsed.data;
  const places = [...new Set(parsed.error.issues.map(({ path }) => String(path[0] ?? 'record')))].join(', ');
  throw new Failure('internal', 'AUDIT_ENTRY_INVALID', `The audit record is not valid: ${places}.`);
}

/** @returns undefined: the text is no record */
export function parseRecord(json: string): AuditRecord | undefined {
  try {
    return recordSchema.safeParse(JSON.parse(json)).data;
  } catch {
    return undefined;
  }
}

/** The subjects that a record is about, lower case, each once: those that an auditor can ask for. */
export function subjectsOf({
  subject_id,
  subjects = [],
  candidates = [],
  hits = [],
}: Pick<AuditRecord, 'subject_id' | 'subjects' | 'candidates' | 'hits'>): string[] {
  const found = [...candidates, ...hits].map((one) => one.subject_id);
  const named = [...(subject_id === undefined ? [] : [subject_id]), ...subjects, ...found];
  return [...new Set(named.map((id) => id.toLowerCase()).filter((id) => uuid.safeParse(id).success))].sort();
}
