/** What the shipped policies are meant to permit, written down a second time and in another form than the policies. */
import { ACTIONS, type Action, type Purpose } from '../../src/access/actions.ts';
import type { Client, Role } from '../../src/access/principal.ts';
import type { RecordFacts } from '../../src/access/grant.ts';
import type { RecordAction } from '../../src/access/record-class.ts';

const SEARCHES: readonly Purpose[] = ['border-check', 'investigation', 'application', 'test'];
const TEST: readonly Purpose[] = ['test'];
/** Calls that have no purpose are permitted with any that the client has. */
const ANY: readonly Purpose[] = ['none', ...SEARCHES];

/** Purposes for which each role may make each call. A call that is not named is not permitted. */
const CALLS: Readonly<Record<Role, Partial<Record<Action, readonly Purpose[]>>>> = {
  checkpoint: { identify: SEARCHES, compare: SEARCHES, 'open-case': ANY },
  contributor: {
    enroll: ANY,
    update: ANY,
    expunge: ANY,
    'get-subject': ANY,
    'list-subjects': ANY,
    'find-duplicates': ANY,
    'watch-hits': ANY,
    'report-outcome': ANY,
    'read-history': ANY,
  },
  examiner: {
    identify: SEARCHES,
    verify: SEARCHES,
    compare: SEARCHES,
    'get-subject': ANY,
    'watch-hits': ANY,
    'open-case': ANY,
    'read-cases': ANY,
    'review-case': ANY,
    'report-outcome': ANY,
  },
  supervisor: {
    identify: SEARCHES,
    verify: SEARCHES,
    compare: SEARCHES,
    'get-subject': ANY,
    'find-duplicates': ANY,
    'watch-hits': ANY,
    'open-case': ANY,
    'read-cases': ANY,
    'decide-conflict': ANY,
    'report-outcome': ANY,
    'read-history': ANY,
  },
  operator: { 'read-status': ANY, 'read-metrics': ANY, 'hash-content': ANY, 'reload-index': ANY },
  auditor: { 'read-audit': ANY, 'read-whole-audit': ANY, 'read-history': ANY },
  monitor: { 'read-metrics': ANY, 'read-status': ANY },
  administrator: {
    'read-clients': ANY,
    'manage-clients': ANY,
    'propose-expunge': ANY,
    'approve-expunge': ANY,
    'list-expunge-proposals': ANY,
    'read-history': ANY,
  },
  engineer: { identify: TEST, verify: TEST, compare: TEST, 'read-status': ANY },
};

const NOT_FOR_AUDITORS: readonly Action[] = [
  'enroll',
  'update',
  'expunge',
  'propose-expunge',
  'approve-expunge',
  'open-case',
  'review-case',
  'decide-conflict',
  'report-outcome',
  'reload-index',
  'manage-clients',
];
/** Two persons together. */
const BY_TWO: readonly Action[] = ['propose-expunge', 'approve-expunge'];
const FOR_PERSONS: readonly Action[] = [...BY_TWO, 'list-expunge-proposals', 'review-case', 'decide-conflict'];
const OF_CASES: readonly Action[] = ['read-cases', 'review-case', 'decide-conflict', 'report-outcome'];
const ANY_SEARCH: readonly Action[] = ['identify', 'verify', 'compare'];
const WRITES: readonly Action[] = ['enroll', 'update', 'expunge'];
const ONE_CONTRIBUTOR: readonly Action[] = [...WRITES, 'list-subjects', 'read-audit', ...OF_CASES];

/** The client of the machine itself may make every call, for every contributor. */
const isLocal = (client: Client) => client.clientId === 'local';

/** @param contributor - that the request names */
export function mayCall(client: Client, call: Action, purpose: Purpose, contributor?: string): boolean {
  if (purpose !== 'none' && !client.purposes.has(purpose)) return false;
  if (isLocal(client)) return ANY_SEARCH.includes(call) ? purpose !== 'none' : true;
  if (client.roles.has('auditor') && NOT_FOR_AUDITORS.includes(call)) return false;
  if (client.kind !== 'person' && FOR_PERSONS.includes(call)) return false;
  // What concerns no gallery, or all of them.
  if (call === 'read-whole-audit' && client.galleries !== 'all') return false;
  if (contributor !== undefined && contributor !== client.agency && ONE_CONTRIBUTOR.includes(call)) return false;
  return [...client.roles].some((role) => CALLS[role][call]?.includes(purpose) ?? false);
}

type Owner = 'own' | 'every';

interface Row {
  readonly roles: readonly Role[];
  readonly does: readonly RecordAction[];
  readonly during: readonly Action[];
  readonly records: Owner;
  readonly purposes?: readonly Purpose[];
  readonly synthetic?: true;
  readonly persons?: true;
  readonly allGalleries?: true;
}

const EXACT: readonly RecordAction[] = ['disclose-scores', 'disclose-explanations'];
const SHOWN: readonly RecordAction[] = ['search-record', 'see-record'];
const HISTORIANS: readonly Role[] = ['contributor', 'supervisor', 'administrator', 'auditor'];
const JUDGES: readonly Role[] = ['examiner', 'supervisor'];

/** What a role does with records, before the caveats of the record are considered. */
const RECORDS: readonly Row[] = [
  { roles: ['checkpoint'], does: SHOWN, during: ['identify'], records: 'every' },
  { roles: JUDGES, does: SHOWN, during: ['identify', 'verify'], records: 'every' },
  { roles: JUDGES, does: ['see-record'], during: ['get-subject', ...OF_CASES], records: 'every' },
  { roles: ['contributor'], does: ['see-record'], during: ['report-outcome'], records: 'own' },
  {
    roles: JUDGES,
    does: EXACT,
    during: ['identify', 'verify', 'compare'],
    records: 'every',
    purposes: ['investigation'],
  },
  { roles: [...JUDGES, 'contributor'], does: ['see-record'], during: ['watch-hits'], records: 'own' },
  { roles: HISTORIANS, does: ['see-record'], during: ['read-history'], records: 'own' },
  { roles: ['auditor'], does: ['see-record'], during: ['read-history'], records: 'every', allGalleries: true },
  { roles: ['supervisor'], does: SHOWN, during: ['find-duplicates'], records: 'every' },
  { roles: ['contributor'], does: ['see-record'], during: ['get-subject', 'list-subjects', ...WRITES], records: 'own' },
  { roles: ['contributor'], does: SHOWN, during: ['find-duplicates'], records: 'own' },
  { roles: ['contributor'], does: ['change-record'], during: ['enroll', 'update'], records: 'own' },
  { roles: ['contributor'], does: ['expunge-record'], during: ['expunge'], records: 'own' },
  { roles: ['administrator'], does: ['expunge-record'], during: BY_TWO, records: 'every', persons: true },
  {
    roles: ['engineer'],
    does: SHOWN,
    during: ['identify', 'verify'],
    records: 'every',
    purposes: TEST,
    synthetic: true,
  },
  { roles: ['engineer'], does: EXACT, during: ACTIONS, records: 'every', purposes: TEST, synthetic: true },
];

const LEVELS = ['RESTRICTED', 'CONFIDENTIAL', 'SECRET'];
const KNOWN = new Set([
  ...LEVELS,
  'ORCON',
  'NO-ONWARD',
  'SILENT',
  'POLICE-ONLY',
  'BATTLEFIELD-ONLY',
  'MINOR',
  'SUSPENDED',
]);

/** May the client's call do this with records of the class? Without the question whether it may make the call. */
export function mayDo(
  client: Client,
  action: RecordAction,
  call: Action,
  purpose: Purpose,
  record: RecordFacts,
): boolean {
  const own = record.contributor === client.agency;
  const synthetic = record.provenance === 'synthetic';
  const isMeant = RECORDS.some(
    (one) =>
      one.roles.some((role) => client.roles.has(role)) &&
      one.does.includes(action) &&
      one.during.includes(call) &&
      (own || one.records === 'every') &&
      (one.purposes?.includes(purpose) ?? true) &&
      (one.synthetic === undefined || synthetic) &&
      (one.persons === undefined || client.kind === 'person') &&
      (one.allGalleries === undefined || client.galleries === 'all'),
  );
  if (!isMeant && !isLocal(client)) return false;
  if (purpose !== 'none' && !client.purposes.has(purpose)) return false;
  if (record.caveats.some((caveat) => LEVELS.indexOf(caveat) + 1 > client.clearance)) return false;
  if (action === 'expunge-record' && BY_TWO.includes(call)) return true;
  if (action === 'change-record' || action === 'expunge-record') return own || isLocal(client);

  const has = (caveat: string) => record.caveats.includes(caveat);
  if (purpose === 'test' && !synthetic && !isLocal(client)) return false;
  if (has('POLICE-ONLY') && purpose !== 'investigation' && !(own && purpose === 'none')) return false;
  if (has('BATTLEFIELD-ONLY') && (purpose === 'application' || purpose === 'test')) return false;
  if (has('BATTLEFIELD-ONLY') && purpose === 'none' && !own) return false;
  if (action !== 'see-record' && (has('MINOR') || has('SUSPENDED'))) return false;
  if (client.roles.has('administrator') && !isLocal(client) && !synthetic && (action !== 'see-record' || !own))
    return false;
  if (own) return true;

  if (has('SUSPENDED')) return false;
  if (has('SILENT') && action !== 'search-record') return false;
  if (record.caveats.some((caveat) => !KNOWN.has(caveat) && !/^(X-|REL-.)/.test(caveat))) return false;
  const limited = has('ORCON') || record.caveats.some((caveat) => caveat.startsWith('REL-'));
  if (limited && !has(`REL-${client.agencyCode}`)) return false;
  if (!has('ORCON') && !has('NO-ONWARD')) return true;
  return !EXACT.includes(action) && call !== 'list-subjects' && call !== 'find-duplicates';
}
