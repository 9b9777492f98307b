import { join } from 'node:path';
import type { z } from 'zod';
import { Failure } from './failure.ts';
import { SETTINGS, type FaceModelSetting, type SettingName } from './service-settings.ts';
import type { Setting } from './setting.ts';

type Value<Name extends SettingName> = z.output<(typeof SETTINGS)[Name]['schema']>;

/** The validated settings. */
export interface Configuration {
  readonly databaseUrl: string | undefined;
  readonly databaseOwnerUrl: string | undefined;
  readonly dataDir: string;
  readonly storePatienceSeconds: number;
  readonly keyFile: string | undefined;
  readonly receiptKey: string | undefined;
  readonly auditKey: string | undefined;
  readonly auditAnchor: string | undefined;
  readonly auditSpoolBytes: number;
  readonly caseHours: number;
  readonly indexDir: string;
  readonly grpcHost: string;
  readonly grpcPort: number;
  readonly httpHost: string;
  readonly httpPort: number;
  readonly httpTls: 'auto' | 'off';
  readonly httpIdentify: boolean;
  readonly workers: number;
  readonly targetFpir: number;
  readonly targetHitRate: number;
  readonly candidates: 'auto' | 'codes' | 'graph' | 'exact';
  readonly indexAuditShare: number;
  readonly maxQueuedSearches: number;
  readonly defaultDeadlineMs: number;
  readonly drainSeconds: number;
  readonly faceModels: readonly FaceModelSetting[];
  readonly calibrations: readonly string[];
  readonly minimumQuality: number;
  readonly maxMessageBytes: number;
  readonly maxStreamRecords: number;
  readonly maxUnfinishedBytes: number;
  readonly maxConnections: number;
  readonly maxHttpConnections: number;
  readonly maxConcurrentCalls: number;
  readonly handshakeSeconds: number;
  readonly messageSeconds: number;
  readonly streamIdleSeconds: number;
  readonly connectionIdleSeconds: number;
  readonly httpKeepAliveSeconds: number;
  readonly demo: 'auto' | 'always' | 'never';
  readonly demoSubjects: number;
  readonly policies: string | undefined;
  readonly oidcFile: string | undefined;
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  readonly tlsClientCa: string | undefined;
  readonly tlsClientCrl: string | undefined;
  readonly allowPlaintext: boolean;
  readonly logLevel: string;
}

/** Variables with the same prefix that are not settings of the service. */
const FOREIGN = new Set([
  'RIDGEWATCH_ADDRESS',
  'RIDGEWATCH_STACK_TRACES',
  'RIDGEWATCH_TOKEN_FILE',
  'RIDGEWATCH_OIDC_ISSUER',
  'RIDGEWATCH_SIGN_IN_FOLDER',
  'RIDGEWATCH_SHARED_DATA',
]);

/**
 * Reads the configuration.
 * @param env - e.g. process.env; an empty value counts as unset
 * @param overrides - values that replace those of the environment
 * @throws Failure INVALID_CONFIGURATION: one sentence that names the setting, never the value of a secret
 */
export function readConfiguration(
  env: Readonly<Record<string, string | undefined>>,
  overrides: Readonly<Partial<Record<SettingName, string>>> = {},
): Configuration {
  refuseUnknown(env);
  const read = <Name extends SettingName>(name: Name): Value<Name> => {
    const setting: Setting = SETTINGS[name];
    const result = setting.schema.safeParse(overrides[name] ?? (env[name] || undefined) ?? setting.fallback);
    if (result.success) return result.data as Value<Name>;
    throw invalid(name, result.error.issues[0]?.message ?? 'is not valid');
  };
  if (read('RIDGEWATCH_DATABASE_OWNER_URL') !== undefined && read('DATABASE_URL') === undefined)
    throw invalid('RIDGEWATCH_DATABASE_OWNER_URL', 'is for the database of DATABASE_URL, which is not set');
  return {
    databaseUrl: read('DATABASE_URL'),
    databaseOwnerUrl: read('RIDGEWATCH_DATABASE_OWNER_URL'),
    dataDir: read('RIDGEWATCH_DATA_DIR'),
    storePatienceSeconds: read('RIDGEWATCH_STORE_PATIENCE_SECONDS'),
    keyFile: read('RIDGEWATCH_KEY_FILE'),
    receiptKey: read('RIDGEWATCH_RECEIPT_KEY'),
    auditKey: read('RIDGEWATCH_AUDIT_KEY'),
    auditAnchor: read('RIDGEWATCH_AUDIT_ANCHOR'),
    auditSpoolBytes: read('RIDGEWATCH_AUDIT_SPOOL_BYTES'),
    indexDir: read('RIDGEWATCH_INDEX_DIR') ?? join(read('RIDGEWATCH_DATA_DIR'), 'index'),
    caseHours: read('RIDGEWATCH_CASE_HOURS'),
    grpcHost: read('RIDGEWATCH_GRPC_HOST'),
    grpcPort: read('RIDGEWATCH_GRPC_PORT'),
    httpHost: read('RIDGEWATCH_HTTP_HOST'),
    httpPort: read('RIDGEWATCH_HTTP_PORT'),
    httpTls: read('RIDGEWATCH_HTTP_TLS'),
    httpIdentify: read('RIDGEWATCH_HTTP_IDENTIFY'),
    workers: read('RIDGEWATCH_WORKERS'),
    targetFpir: read('RIDGEWATCH_TARGET_FPIR'),
    targetHitRate: read('RIDGEWATCH_TARGET_HIT_RATE'),
    candidates: read('RIDGEWATCH_CANDIDATES'),
    indexAuditShare: read('RIDGEWATCH_INDEX_AUDIT_SHARE'),
    maxQueuedSearches: read('RIDGEWATCH_MAX_QUEUED_SEARCHES'),
    defaultDeadlineMs: read('RIDGEWATCH_DEFAULT_DEADLINE_MS'),
    drainSeconds: read('RIDGEWATCH_DRAIN_SECONDS'),
    faceModels: read('RIDGEWATCH_FACE_MODELS'),
    calibrations: read('RIDGEWATCH_CALIBRATIONS'),
    minimumQuality: read('RIDGEWATCH_MINIMUM_QUALITY'),
    maxMessageBytes: read('RIDGEWATCH_MAX_MESSAGE_BYTES'),
    maxStreamRecords: read('RIDGEWATCH_MAX_STREAM_RECORDS'),
    maxUnfinishedBytes: read('RIDGEWATCH_MAX_UNFINISHED_BYTES'),
    maxConnections: read('RIDGEWATCH_MAX_CONNECTIONS'),
    maxHttpConnections: read('RIDGEWATCH_MAX_HTTP_CONNECTIONS'),
    maxConcurrentCalls: read('RIDGEWATCH_MAX_CONCURRENT_CALLS'),
    handshakeSeconds: read('RIDGEWATCH_HANDSHAKE_SECONDS'),
    messageSeconds: read('RIDGEWATCH_MESSAGE_SECONDS'),
    streamIdleSeconds: read('RIDGEWATCH_STREAM_IDLE_SECONDS'),
    connectionIdleSeconds: read('RIDGEWATCH_CONNECTION_IDLE_SECONDS'),
    httpKeepAliveSeconds: read('RIDGEWATCH_HTTP_KEEP_ALIVE_SECONDS'),
    demo: read('RIDGEWATCH_DEMO'),
    demoSubjects: read('RIDGEWATCH_DEMO_SUBJECTS'),
    policies: read('RIDGEWATCH_POLICIES'),
    oidcFile: read('RIDGEWATCH_OIDC_FILE'),
    tlsCert: read('RIDGEWATCH_TLS_CERT'),
    tlsKey: read('RIDGEWATCH_TLS_KEY'),
    tlsClientCa: read('RIDGEWATCH_TLS_CLIENT_CA'),
    tlsClientCrl: read('RIDGEWATCH_TLS_CLIENT_CRL'),
    allowPlaintext: read('RIDGEWATCH_ALLOW_PLAINTEXT'),
    logLevel: read('RIDGEWATCH_LOG_LEVEL'),
  };
}

/** A mistyped setting must not be ignored. */
function refuseUnknown(env: Readonly<Record<string, string | undefined>>): void {
  const unknown = Object.keys(env).find(
    (name) => name.startsWith('RIDGEWATCH_') && !(name in SETTINGS) && !FOREIGN.has(name),
  );
  if (unknown === undefined) return;
  throw invalid(unknown, 'is not a setting; docs/configuration.md lists them');
}

function invalid(name: string, problem: string): Failure {
  return new Failure('invalid-argument', 'INVALID_CONFIGURATION', `${name} ${problem}.`, { field: name });
}

/** The table of settings for docs/configuration.md (Markdown). */
export function renderSettings(): string {
  const rows = Object.entries(SETTINGS as Record<string, Setting>).map(([name, setting]) => {
    const fallback = setting.fallbackText ?? (setting.fallback === undefined ? '–' : `\`${setting.fallback}\``);
    return `| \`${name}\` | ${fallback} | ${setting.meaning} | ${setting.why} |`;
  });
  return ['| setting | default | meaning | reason |', '| --- | --- | --- | --- |', ...rows].join('\n');
}
