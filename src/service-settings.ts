import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { NETWORK_SETTINGS } from './network/network-settings.ts';
import { whole, type Setting } from './setting.ts';

/** A face model whose embeddings the service accepts. */
export interface FaceModelSetting {
  readonly id: string;
  readonly dimension: number;
}

const port = whole(0, 65_535);
const filled = z.string().min(1, 'is empty');
const optional = z.string().optional();
const yesOrNo = z.enum(['true', 'false'], "is not 'true' or 'false'").transform((value) => value === 'true');
/** `Number` also accepts empty text and hexadecimal numbers; in a setting these are mistakes. */
const decimal = z
  .string()
  .regex(/^\d+(\.\d+)?(e[+-]?\d+)?$/i, 'is not a number')
  .transform(Number);
const rate = decimal.refine((value) => value >= 1e-9 && value <= 0.5, 'is not a rate between 1e-9 and 0.5');

const hitRate = decimal.refine((value) => value >= 0.9 && value <= 0.9999, 'is not a share between 0.9 and 0.9999');

const share = decimal.refine((value) => value >= 0 && value <= 1, 'is not a share between 0 and 1');

const files = z.string().transform((text) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== ''),
);

const faceModels = z.string().transform((text, context): FaceModelSetting[] => {
  const models = text.split(',').flatMap((part) => {
    const match = /^\s*([a-z0-9._-]{1,64}):(\d{1,4})\s*$/.exec(part);
    const dimension = Number(match?.[2]);
    if (match === null || dimension < 64 || dimension > 2048 || dimension % 16 !== 0) {
      context.addIssue({
        code: 'custom',
        message: `has an entry that is not 'id:dimension' (64 to 2048, a multiple of 16)`,
      });
      return [];
    }
    return [{ id: match[1], dimension }];
  });
  if (new Set(models.map(({ id }) => id)).size < models.length) {
    context.addIssue({ code: 'custom', message: 'names a model twice' });
  }
  return models;
});

/** Every setting of the service. docs/configuration.md contains this table. */
export const SETTINGS = {
  DATABASE_URL: {
    schema: optional,
    fallback: undefined,
    secret: true,
    meaning: 'PostgreSQL database for all data: `postgres://user:password@host:5432/database`.',
    why: 'Unset: an embedded PostgreSQL in the data directory. A first run needs no installation.',
  },
  RIDGEWATCH_DATABASE_OWNER_URL: {
    schema: optional,
    fallback: undefined,
    secret: true,
    meaning:
      'The database of `DATABASE_URL`, with the user that owns its tables. A start uses it to change the schema, to give the user of `DATABASE_URL` the rights of the service, and to mend indexes; then it closes these connections. Commands use it to administrate.',
    why: 'Unset: the user of `DATABASE_URL` does everything, and may rewrite the audit; a warning says so. [operating](operating.md#two-database-roles) has the statements that make two roles.',
  },
  RIDGEWATCH_DATA_DIR: {
    schema: filled,
    fallback: '.ridgewatch',
    meaning: 'Directory of the embedded database.',
    why: 'In the working directory: easy to find, and to delete after a trial.',
  },
  RIDGEWATCH_STORE_PATIENCE_SECONDS: {
    schema: whole(0, 86_400),
    fallback: '600',
    meaning:
      'Time that a start waits for a command that runs the embedded database, such as an import, in seconds. Commands wait for each other as long.',
    why: 'A command begun while the service was down must not prevent its start. Run longer commands beside the service.',
  },
  RIDGEWATCH_KEY_FILE: {
    schema: optional,
    fallback: undefined,
    meaning: 'File with the encryption keys of templates (JSON; `ridgewatch keys create` creates one).',
    why: 'Unset: `keys.json` in the data directory, created at the first start. There it protects copies of the database, but not of the whole directory: keep it on another disk.',
  },
  RIDGEWATCH_RECEIPT_KEY: {
    schema: optional,
    fallback: undefined,
    meaning: 'File with the private key (Ed25519, PEM) that signs the receipts of expunged subjects.',
    why: 'Unset: `receipt-key.pem` in the data directory, created at the first start. Services on one database should share one key.',
  },
  RIDGEWATCH_AUDIT_KEY: {
    schema: optional,
    fallback: undefined,
    meaning: 'File with the private key (Ed25519, PEM) that signs the audit.',
    why: 'Unset: `audit-key.pem` in the data directory, created at the first start.',
  },
  RIDGEWATCH_AUDIT_ANCHOR: {
    schema: optional,
    fallback: undefined,
    meaning: 'File to which the head of the audit is appended, at most once a second.',
    why: 'Unset: `audit-anchor.ndjson` in the data directory. Name a place that an administrator of the database cannot change: only the anchor shows that the last records were cut off.',
  },
  RIDGEWATCH_AUDIT_SPOOL_BYTES: {
    schema: whole(65_536, 17_179_869_184),
    fallback: '67108864',
    meaning:
      'Largest file of audit records that wait for the database, in bytes. When it is full, calls are refused (`AUDIT_UNAVAILABLE`).',
    why: 'About 50,000 searches: minutes of a busy checkpoint.',
  },
  RIDGEWATCH_INDEX_DIR: {
    schema: optional,
    fallback: undefined,
    meaning: 'Directory of the indexes from `ridgewatch index build`.',
    why: 'Unset: `index` in the data directory. Services on one machine can share it.',
  },
  RIDGEWATCH_CASE_HOURS: {
    schema: whole(1, 720),
    fallback: '72',
    meaning:
      'Time for the examiners of a case, in hours. A case that is not decided by then expires, and its probe is destroyed.',
    why: 'Three days span a weekend. A probe of a person who may be a stranger is kept no longer than a decision needs.',
  },
  RIDGEWATCH_GRPC_HOST: {
    schema: filled,
    fallback: '127.0.0.1',
    meaning: 'Address to listen on for gRPC.',
    why: 'The service is not reachable from the network until its operator decides so.',
  },
  RIDGEWATCH_GRPC_PORT: {
    schema: port,
    fallback: '50151',
    meaning: 'Port for gRPC; 0: any free port.',
    why: 'Close to the customary 50051, and rarely in use.',
  },
  RIDGEWATCH_HTTP_HOST: {
    schema: filled,
    fallback: '127.0.0.1',
    meaning: 'Address of `/livez`, `/readyz` and `/metrics`.',
    why: 'Not reachable from the network, like gRPC.',
  },
  RIDGEWATCH_HTTP_PORT: {
    schema: port,
    fallback: '9151',
    meaning: 'Port of `/livez`, `/readyz` and `/metrics`; 0: any free port.',
    why: 'In the range that Prometheus exporters use.',
  },
  RIDGEWATCH_HTTP_TLS: {
    schema: z.enum(['auto', 'off'], "is not 'auto' or 'off'"),
    fallback: 'auto',
    meaning:
      '`auto`: the HTTP port uses TLS where gRPC does, with the same certificate. `off`: it does not; on the loopback address, or with `RIDGEWATCH_ALLOW_PLAINTEXT`.',
    why: 'Orchestrators probe over HTTPS, too, and need no certificate for it. `off` is for a probe or proxy on the same machine.',
  },
  RIDGEWATCH_HTTP_IDENTIFY: {
    schema: yesOrNo,
    fallback: 'false',
    meaning:
      '`true`: the HTTP port also answers searches in JSON, `POST /v1/identify`; without TLS on the loopback address only.',
    why: 'For programs without gRPC. It is another way in, to be opened only where it is used.',
  },
  RIDGEWATCH_WORKERS: {
    schema: whole(1, 64),
    fallback: String(Math.min(64, availableParallelism())),
    fallbackText: 'number of cores',
    meaning: 'Threads that run comparisons, 1 to 64.',
    why: 'Comparisons are pure arithmetic: more threads than cores gain nothing.',
  },
  RIDGEWATCH_TARGET_FPIR: {
    schema: rate,
    fallback: '0.01',
    meaning: 'False positive identification rate of searches that state none, 1e-9 to 0.5.',
    why: 'One in a hundred searches for people who are not enrolled returns a candidate: few enough for a small team of examiners.',
  },
  RIDGEWATCH_TARGET_HIT_RATE: {
    schema: hitRate,
    fallback: '0.999',
    meaning:
      "Hit rate that indexed searches must have, 0.9 to 0.9999: the share of the mates that an exact search returns first, with fingers at the service's own threshold. List lengths follow, by measurement on the gallery.",
    why: 'Of a thousand subjects that an exact search finds, an indexed search may miss one: far fewer than bad captures lose.',
  },
  RIDGEWATCH_CANDIDATES: {
    schema: z.enum(['auto', 'codes', 'graph', 'exact'], "is not 'auto', 'codes', 'graph' or 'exact'"),
    fallback: 'auto',
    meaning:
      'What proposes the candidates of large galleries. `exact`: nothing, every reference is compared. `codes`: a scan of short codes. `graph`: graphs of similar references, where they hold everything and take less time than an exact search. `auto`: whichever takes less time, of codes and of the graphs that an index has brought.',
    why: 'The costs are measured on this machine. Searches that take a few milliseconds are exact anyway, except with `graph`.',
  },
  RIDGEWATCH_INDEX_AUDIT_SHARE: {
    schema: share,
    fallback: '0.01',
    meaning: 'Share of indexed searches that are repeated exactly while the service is idle, 0 to 1.',
    why: 'Only an exact search reveals mates that the index misses.',
  },
  RIDGEWATCH_MAX_QUEUED_SEARCHES: {
    schema: whole(0, 100_000),
    fallback: '256',
    meaning: 'Limit of waiting searches; more are refused with `RESOURCE_EXHAUSTED`.',
    why: 'Under overload, callers get a clear answer instead of an ever longer wait.',
  },
  RIDGEWATCH_DEFAULT_DEADLINE_MS: {
    schema: whole(1, 3_600_000),
    fallback: '10000',
    meaning: 'Deadline of a call without one, in milliseconds.',
    why: 'No call may hold memory for ever.',
  },
  RIDGEWATCH_DRAIN_SECONDS: {
    schema: whole(0, 3600),
    fallback: '20',
    meaning: 'Time for running calls to end when the service stops, in seconds.',
    why: 'Longer than the default deadline, shorter than the 30 s after which orchestrators kill a process.',
  },
  RIDGEWATCH_FACE_MODELS: {
    schema: faceModels,
    fallback: 'synthetic-512:512',
    meaning: 'Accepted face models: `id:dimension`, separated by commas.',
    why: "Embeddings of different models must never be compared, so each model has a name. The default is the demo's model.",
  },
  RIDGEWATCH_CALIBRATIONS: {
    schema: files,
    fallback: '',
    meaning: 'Calibration files from `ridgewatch calibrate`, separated by commas.',
    why: 'The shipped tables were measured on other data than yours, and promise less than is delivered.',
  },
  RIDGEWATCH_MINIMUM_QUALITY: {
    schema: whole(0, 100),
    fallback: '0',
    meaning: 'Samples with a lower stated quality are not enrolled, 0 to 100; 0: all are enrolled.',
    why: 'Quality scales differ between vendors: the operator has to choose a minimum.',
  },
  RIDGEWATCH_MAX_MESSAGE_BYTES: {
    schema: whole(65_536, 268_435_456),
    fallback: '4194304',
    meaning: 'Largest request and answer, in bytes.',
    why: 'Sixteen samples of maximum size, with room to spare.',
  },
  RIDGEWATCH_MAX_STREAM_RECORDS: {
    schema: whole(1, 1_000_000),
    fallback: '20000',
    meaning: 'Limit of records in one `EnrollStream`.',
    why: 'The answer has an outcome for each record and must fit a message.',
  },
  ...NETWORK_SETTINGS,
  RIDGEWATCH_DEMO: {
    schema: z.enum(['auto', 'always', 'never'], "is not 'auto', 'always' or 'never'"),
    fallback: 'auto',
    meaning: 'Whether an empty store gets the demo gallery. `auto`: only the embedded store.',
    why: 'A first run has subjects to search; an external database stays unchanged.',
  },
  RIDGEWATCH_DEMO_SUBJECTS: {
    schema: whole(1, 100_000),
    fallback: '1000',
    meaning: 'Subjects in the demo gallery.',
    why: 'Created in a few seconds, and enough to see a search work.',
  },
  RIDGEWATCH_POLICIES: {
    schema: optional,
    fallback: undefined,
    meaning: 'Folder of own policies (`*.cedar`), added to the shipped ones; read again within seconds of a change.',
    why: 'Unset: the shipped policies alone decide.',
  },
  RIDGEWATCH_OIDC_FILE: {
    schema: optional,
    fallback: undefined,
    meaning:
      'File with the identity providers (OpenID Connect) at which persons sign in (JSON, [access](access.md#signing-in)). Read again when it or a file that it names changes. At most 64 KiB.',
    why: 'Unset: persons use certificates or tokens.',
  },
  RIDGEWATCH_TLS_CERT: {
    schema: optional,
    fallback: undefined,
    meaning:
      "File with the server's certificate chain (PEM). This file and the next three are read again when they change.",
    why: 'Unset: no TLS, which is allowed on the loopback address only.',
  },
  RIDGEWATCH_TLS_KEY: {
    schema: optional,
    fallback: undefined,
    meaning: "File with the certificate's private key (PEM).",
    why: 'Required with a certificate.',
  },
  RIDGEWATCH_TLS_CLIENT_CA: {
    schema: optional,
    fallback: undefined,
    meaning: "File with the accepted authorities of clients' certificates (PEM).",
    why: 'If set, gRPC serves only clients with a certificate (mutual TLS). HTTP asks for one, and refuses one of another authority.',
  },
  RIDGEWATCH_TLS_CLIENT_CRL: {
    schema: optional,
    fallback: undefined,
    meaning:
      "File with the revocation lists of these authorities (PEM): one of each authority in every client's chain. At most 1 MiB.",
    why: 'Unset: no certificate is taken for revoked. An authority whose list is missing or has expired vouches for no client.',
  },
  RIDGEWATCH_ALLOW_PLAINTEXT: {
    schema: yesOrNo,
    fallback: 'false',
    meaning: '`true`: accept calls and HTTP without TLS on any address.',
    why: 'For a private network that encrypts by itself; must be enabled explicitly.',
  },
  RIDGEWATCH_LOG_LEVEL: {
    schema: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'is not a level of pino'),
    fallback: 'info',
    meaning: 'Lowest logged level: `trace` to `fatal`, or `silent`.',
    why: 'One line for each call.',
  },
} satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;
