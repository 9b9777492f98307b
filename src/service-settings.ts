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
/** What JavaScript takes for a number besides, as an empty text or one in base 16, is a mistake. */
const decimal = z
  .string()
  .regex(/^\d+(\.\d+)?(e[+-]?\d+)?$/i, 'is not a number')
  .transform(Number);
const rate = decimal.refine((value) => value >= 1e-9 && value <= 0.5, 'is not a rate between 1e-9 and 0.5');

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

/** Every setting of the service. docs/configuration.md is made from this table. */
export const SETTINGS = {
  DATABASE_URL: {
    schema: optional,
    fallback: undefined,
    secret: true,
    meaning: 'PostgreSQL to keep everything in: `postgres://user:password@host:5432/database`.',
    why: 'Not set: a PostgreSQL of its own in the data directory, so that a first run needs nothing installed.',
  },
  RIDGEWATCH_DATA_DIR: {
    schema: filled,
    fallback: '.ridgewatch',
    meaning: 'Directory of the embedded database.',
    why: 'Below the working directory: easy to find and to delete on a trial.',
  },
  RIDGEWATCH_STORE_PATIENCE_SECONDS: {
    schema: whole(0, 86_400),
    fallback: '600',
    meaning:
      'How long a start waits for a command, such as an import, that runs the embedded database, in seconds. Commands wait as long for each other.',
    why: 'A command that began while the service was down must not keep it from starting; one that takes longer should be run beside the service.',
  },
  RIDGEWATCH_KEY_FILE: {
    schema: optional,
    fallback: undefined,
    meaning: 'File with the keys that templates are encrypted with (JSON; `ridgewatch keys create` makes one).',
    why: 'Not set: `keys.json` in the data directory, made at the first start. There it protects a copy of the database, not of the whole directory: keep it on another disk.',
  },
  RIDGEWATCH_RECEIPT_KEY: {
    schema: optional,
    fallback: undefined,
    meaning: 'File with the private key (Ed25519, PEM) that receipts of expunging are signed with.',
    why: 'Not set: `receipt-key.pem` in the data directory, made at the first start. Services on one database should sign with one key.',
  },
  RIDGEWATCH_INDEX_DIR: {
    schema: optional,
    fallback: undefined,
    meaning: 'Directory of the indexes that `ridgewatch index build` makes.',
    why: 'Not set: `index` in the data directory. Several services on one machine can share it.',
  },
  RIDGEWATCH_GRPC_HOST: {
    schema: filled,
    fallback: '127.0.0.1',
    meaning: 'Address to take gRPC calls on.',
    why: 'Nothing is offered to the network until somebody decides so.',
  },
  RIDGEWATCH_GRPC_PORT: {
    schema: port,
    fallback: '50151',
    meaning: 'Port for gRPC; 0: any free one.',
    why: 'Next to the customary 50051, and rarely taken.',
  },
  RIDGEWATCH_HTTP_HOST: {
    schema: filled,
    fallback: '127.0.0.1',
    meaning: 'Address of `/livez`, `/readyz` and `/metrics`.',
    why: 'As above.',
  },
  RIDGEWATCH_HTTP_PORT: {
    schema: port,
    fallback: '9151',
    meaning: 'Port of the same; 0: any free one.',
    why: 'In the range that Prometheus exporters use.',
  },
  RIDGEWATCH_HTTP_IDENTIFY: {
    schema: yesOrNo,
    fallback: 'false',
    meaning: '`true`: also answer searches in JSON there, `POST /v1/identify`; on the loopback address only.',
    why: 'HTTP here knows neither TLS nor certificates: it is for a program beside the service that has no gRPC.',
  },
  RIDGEWATCH_WORKERS: {
    schema: whole(1, 64),
    fallback: String(Math.min(64, availableParallelism())),
    fallbackText: 'number of cores',
    meaning: 'Threads that run comparisons, 1 to 64.',
    why: 'Comparing is all arithmetic: more threads than cores gain nothing.',
  },
  RIDGEWATCH_TARGET_FPIR: {
    schema: rate,
    fallback: '0.01',
    meaning: 'False positive identification rate when the caller names none, 1e-9 to 0.5.',
    why: 'One search in a hundred for somebody who is not in the gallery shows a candidate: what a small team of examiners can look at.',
  },
  RIDGEWATCH_INDEX_AUDIT_SHARE: {
    schema: share,
    fallback: '0.01',
    meaning: 'Share of indexed searches that is repeated exactly when nothing else is to be done, 0 to 1.',
    why: 'What an index misses leaves no trace: only a comparison of everything shows it.',
  },
  RIDGEWATCH_MAX_QUEUED_SEARCHES: {
    schema: whole(0, 100_000),
    fallback: '256',
    meaning: 'Searches that may wait; more are refused with `RESOURCE_EXHAUSTED`.',
    why: 'A crowd gets a clear answer instead of an ever longer wait.',
  },
  RIDGEWATCH_DEFAULT_DEADLINE_MS: {
    schema: whole(1, 3_600_000),
    fallback: '10000',
    meaning: 'Deadline of a call that brings none, in milliseconds.',
    why: 'No call may hold its memory for ever.',
  },
  RIDGEWATCH_DRAIN_SECONDS: {
    schema: whole(0, 3600),
    fallback: '20',
    meaning: 'Time that calls under way get to end when the service stops, in seconds.',
    why: 'Longer than the default deadline, shorter than the 30 s after which orchestrators kill.',
  },
  RIDGEWATCH_FACE_MODELS: {
    schema: faceModels,
    fallback: 'synthetic-512:512',
    meaning: 'Face models whose embeddings are accepted: `id:dimension`, separated by commas.',
    why: "Embeddings of different models must never be compared, so each has to be named. The default is the demo's.",
  },
  RIDGEWATCH_CALIBRATIONS: {
    schema: files,
    fallback: '',
    meaning: 'Calibration files made by `ridgewatch calibrate`, separated by commas.',
    why: 'The tables that come along were measured on other data than yours, and promise less than is delivered.',
  },
  RIDGEWATCH_MINIMUM_QUALITY: {
    schema: whole(0, 100),
    fallback: '0',
    meaning: 'Samples of a stated quality below this are not enrolled, 0 to 100; 0: all are.',
    why: 'What a quality number means depends on who states it: a gate is for the operator to set.',
  },
  RIDGEWATCH_MAX_MESSAGE_BYTES: {
    schema: whole(65_536, 268_435_456),
    fallback: '4194304',
    meaning: 'Largest request and answer, in bytes.',
    why: 'Sixteen samples of the largest size and room to spare.',
  },
  RIDGEWATCH_MAX_STREAM_RECORDS: {
    schema: whole(1, 1_000_000),
    fallback: '20000',
    meaning: 'Records that one `EnrollStream` may bring.',
    why: 'Its answer, with an outcome for each, has to fit a message.',
  },
  ...NETWORK_SETTINGS,
  RIDGEWATCH_DEMO: {
    schema: z.enum(['auto', 'always', 'never'], "is not 'auto', 'always' or 'never'"),
    fallback: 'auto',
    meaning: 'Whether an empty store gets the demo gallery. `auto`: only an embedded one.',
    why: "A first run shows something; a database of somebody's own is left alone.",
  },
  RIDGEWATCH_DEMO_SUBJECTS: {
    schema: whole(1, 100_000),
    fallback: '1000',
    meaning: 'People in the demo gallery.',
    why: 'Made in a few seconds, and enough to see a search work.',
  },
  RIDGEWATCH_TLS_CERT: {
    schema: optional,
    fallback: undefined,
    meaning: "File with the server's certificate chain (PEM).",
    why: 'Not set: no TLS, which is allowed on the loopback address only.',
  },
  RIDGEWATCH_TLS_KEY: {
    schema: optional,
    fallback: undefined,
    meaning: 'File with its private key (PEM).',
    why: 'Goes with the certificate.',
  },
  RIDGEWATCH_TLS_CLIENT_CA: {
    schema: optional,
    fallback: undefined,
    meaning: "File with the authorities (PEM) that clients' certificates must come from.",
    why: 'Set: only clients with a certificate are served (mutual TLS).',
  },
  RIDGEWATCH_ALLOW_PLAINTEXT: {
    schema: yesOrNo,
    fallback: 'false',
    meaning: '`true`: take calls without TLS on any address.',
    why: 'For a private network that encrypts by itself; it has to be said.',
  },
  RIDGEWATCH_LOG_LEVEL: {
    schema: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'is not a level of pino'),
    fallback: 'info',
    meaning: 'Least level that is logged: `trace` to `fatal`, or `silent`.',
    why: 'One line for each call.',
  },
} satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;
