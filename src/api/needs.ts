import type { Action } from '../access/actions.ts';

/**
 * What a caller needs for a method or path: to be permitted one of these actions; `client`: to be any client;
 * `nothing`: not even that. What is not listed is refused to every client.
 */
export type Need = readonly Action[] | 'client' | 'nothing';

/** The methods of the contract, as `Service/Method`. */
export const METHOD_NEEDS = {
  'Identification/Identify': ['identify'],
  'Identification/IdentifyStream': ['identify'],
  'Identification/Verify': ['verify', 'compare'],
  'Gallery/Enroll': ['enroll'],
  'Gallery/EnrollStream': ['enroll'],
  'Gallery/GetSubject': ['get-subject'],
  'Gallery/ListSubjects': ['list-subjects'],
  'Gallery/UpdateSubject': ['update'],
  'Gallery/ExpungeSubject': ['expunge'],
  'Gallery/ProposeExpunge': ['propose-expunge'],
  'Gallery/ApproveExpunge': ['approve-expunge'],
  'Gallery/ListExpungeProposals': ['list-expunge-proposals'],
  'Gallery/ReadHistory': ['read-history'],
  'Gallery/FindDuplicates': ['find-duplicates'],
  'Operations/GetStatus': ['read-status'],
  'Operations/GetContentHash': ['hash-content'],
  'Operations/ReloadIndex': ['reload-index'],
  'Sharing/WatchHits': ['watch-hits'],
  'Sharing/AcknowledgeHits': ['watch-hits'],
  'Sharing/ListCases': ['read-cases'],
  'Sharing/GetCase': ['read-cases'],
  'Sharing/SubmitAnalysis': ['review-case'],
  'Sharing/Decide': ['review-case', 'decide-conflict'],
  'Sharing/Escalate': ['review-case'],
  'Sharing/ReportOutcome': ['report-outcome'],
  'Audit/ReadAudit': ['read-audit', 'read-whole-audit'],
  'Audit/GetAuditHeads': ['read-audit'],
  'Access/AddClient': ['manage-clients'],
  'Access/ListClients': ['read-clients'],
  'Access/RotateCredential': ['manage-clients'],
  'Access/UpdateClient': ['manage-clients'],
  'Access/RevokeCredential': ['manage-clients'],
  'Access/DisableClient': ['manage-clients'],
} as const satisfies Readonly<Record<string, Need>>;

export type Method = keyof typeof METHOD_NEEDS;

/**
 * Health is for orchestrators, which have no credentials; the contract is for any client. The methods that refuse
 * unreadable calls do nothing else (call-head.ts).
 */
const STANDARD_NEEDS: Readonly<Record<string, Need>> = {
  refused: 'nothing',
  'grpc.health.v1.Health': 'nothing',
  'grpc.reflection.v1.ServerReflection': 'client',
  'grpc.reflection.v1alpha.ServerReflection': 'client',
};

const PACKAGE = 'ridgewatch.v1.';

/** @param path - e.g. `/ridgewatch.v1.Identification/Identify` @returns undefined: nothing is declared for it */
export function needOfMethod(path: string): Need | undefined {
  const [service = '', name = ''] = path.slice(1).split('/');
  if (!service.startsWith(PACKAGE)) return ownOf(STANDARD_NEEDS, service);
  return ownOf<Need>(METHOD_NEEDS, `${service.slice(PACKAGE.length)}/${name}`);
}

/** What the paths of the HTTP port need. */
const PATH_NEEDS: Readonly<Record<string, Need>> = {
  '/livez': 'nothing',
  '/readyz': 'nothing',
  '/metrics': ['read-metrics'],
  '/v1/identify': ['identify'],
};

/** @returns undefined: nothing is declared for it */
export function needOfPath(path: string): Need | undefined {
  return ownOf(PATH_NEEDS, path);
}

function ownOf<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
