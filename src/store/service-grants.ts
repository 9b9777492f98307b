import { CLIENT_FIELDS } from './client-rows.ts';

/**
 * All that the service's database role may do, table by table. A migration that creates a table adds a line here, and
 * one that adds a column the service changes adds the column: a start gives and takes rights until they are these.
 *
 * A line has what the statements of a running service need, and no more. Rows of `audit_record`, `change` and `receipt`
 * are only ever added. Columns that decide whose a record is (`subject_id`, `contributor`, and all of `reference`) are
 * never changed after the row was inserted. Locking rows (FOR UPDATE, FOR KEY SHARE) takes the right to change some
 * column of them: for `template_key` it is the one that foreign keys protect.
 */
export const SERVICE_GRANTS: Readonly<Record<string, readonly string[]>> = {
  agency: ['SELECT', 'INSERT', 'UPDATE (code)'],
  audit_record: ['SELECT', 'INSERT'],
  case_step: ['SELECT', 'INSERT'],
  change: ['SELECT', 'INSERT'],
  change_counter: ['SELECT', 'UPDATE (seq)'],
  // Their MAC covers every column.
  client: ['SELECT', 'INSERT', `UPDATE (${[...CLIENT_FIELDS, 'mac', 'mac_key_id'].join(', ')})`],
  client_credential: ['SELECT', 'INSERT', 'UPDATE (expire_time, revoke_time, revoked_by)', 'DELETE'],
  client_version: ['SELECT', 'UPDATE (version)'],
  enrolment_request: ['SELECT', 'INSERT', 'UPDATE (digest)', 'DELETE'],
  expunge_proposal: ['SELECT', 'INSERT', 'DELETE'],
  gallery: ['SELECT', 'INSERT', 'UPDATE (first_seen)'],
  gallery_membership: ['SELECT', 'INSERT', 'DELETE'],
  // A trigger writes hits, with the rights of the owner.
  hit: ['SELECT'],
  hit_counter: ['SELECT'],
  hit_cursor: ['SELECT', 'INSERT', 'UPDATE (seq, update_time)'],
  import: [
    'SELECT',
    'INSERT',
    'UPDATE (byte_offset, record_count, reference_count, refused_count, repeated_count, subject_count)',
    'DELETE',
  ],
  import_refusal: ['SELECT', 'INSERT'],
  migration: ['SELECT'],
  receipt: ['SELECT', 'INSERT'],
  reference: ['SELECT', 'INSERT', 'DELETE'],
  review_case: [
    'SELECT',
    'INSERT',
    'UPDATE (state, close_time, probe, probe_key, probe_key_id, receipt, mac, mac_key_id)',
  ],
  subject: [
    'SELECT',
    'INSERT',
    'UPDATE (caveats, expire_time, external_id, handling_code, handling_contact, handling_instructions, mac, mac_key_id)',
    'UPDATE (minor_until, provenance, review_time, suspended, update_time, version)',
    'DELETE',
  ],
  // The database refuses to delete the history of a subject that is there.
  subject_history: ['SELECT', 'INSERT', 'DELETE'],
  template_key: ['SELECT', 'UPDATE (key_id)'],
};

/** A right on a table, or on one of its columns. */
export interface Right {
  readonly privilege: string;
  /** undefined: on the whole table. */
  readonly column: string | undefined;
}

/** The rights of one table's line, one for each column that it names; none for a table without a line. */
export function rightsOn(table: string): Right[] {
  const line = Object.hasOwn(SERVICE_GRANTS, table) ? (SERVICE_GRANTS[table] ?? []) : [];
  return line.flatMap((grant): Right[] => {
    const [, privilege = grant, columns] = /^(\w+) \((.+)\)$/.exec(grant) ?? [];
    return (columns?.split(', ') ?? [undefined]).map((column) => ({ privilege, column }));
  });
}

/** A right as a text, equal for equal rights. */
export function nameOf({ privilege, column }: Right): string {
  return column === undefined ? privilege : `${privilege} (${column})`;
}
