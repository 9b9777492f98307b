/** Used by both examples: connects, reads samples from files, and reports refusals. */
import { existsSync, readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import {
  credentials,
  InterceptingCall,
  loadPackageDefinition,
  status as Code,
  type ChannelCredentials,
  type Interceptor,
  type ServiceClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/** The contract. Copy the folder `proto` beside your program, and set its path here. */
const CONTRACT = resolve(import.meta.dirname, '../../../proto');

const definition = loadSync(
  ['ridgewatch/v1/gallery.proto', 'ridgewatch/v1/identification.proto', 'google/rpc/error_details.proto'],
  // Include empty lists; give enumerations as names and 64-bit numbers as text.
  { includeDirs: [CONTRACT], defaults: true, enums: String, longs: String },
);
const contract = loadPackageDefinition(definition) as unknown as {
  ridgewatch: { v1: Record<'Gallery' | 'Identification', ServiceClientConstructor> };
};

export type Client = InstanceType<ServiceClientConstructor>;

/** Options that every example takes. */
export const CONNECTION_OPTIONS = {
  address: { type: 'string', default: '127.0.0.1:50151' },
  'timeout-ms': { type: 'string', default: '2000' },
  'tls-ca': { type: 'string' },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
  'token-file': { type: 'string', default: '.ridgewatch/local-token' },
} as const;

export interface Connection {
  /** host:port */
  readonly address: string;
  /** PEM file with the authority of the service's certificate. Undefined: no TLS. */
  readonly 'tls-ca'?: string | undefined;
  /** PEM files with the certificate of this client and its key. */
  readonly 'tls-cert'?: string | undefined;
  readonly 'tls-key'?: string | undefined;
  /** File with the token of this client. The default is the one that a service started here has made. */
  readonly 'token-file'?: string | undefined;
}

export function connect(service: 'Gallery' | 'Identification', connection: Connection): Client {
  return new contract.ridgewatch.v1[service](connection.address, credentialsOf(connection), {
    // Otherwise templates would go through a proxy named by the environment.
    'grpc.enable_http_proxy': 0,
    interceptors: [withToken(connection['token-file'])],
  });
}

/** Shows the token with every call. Without one, the service knows the client by its certificate. */
function withToken(file: string | undefined): Interceptor {
  const token = file !== undefined && existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
  return (options, next) =>
    new InterceptingCall(next(options), {
      start: (metadata, listener, onward) => {
        if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
        onward(metadata, listener);
      },
    });
}

function credentialsOf({ 'tls-ca': ca, 'tls-cert': certificate, 'tls-key': key }: Connection): ChannelCredentials {
  if (ca === undefined) {
    if (certificate !== undefined || key !== undefined) throw new Error('--tls-cert and --tls-key need --tls-ca.');
    return credentials.createInsecure();
  }
  if (certificate === undefined || key === undefined) return credentials.createSsl(readFileSync(ca));
  return credentials.createSsl(readFileSync(ca), readFileSync(key), readFileSync(certificate));
}

/** A sample of the contract. Finger records state their position themselves. */
export interface Sample {
  readonly modality: 'MODALITY_FINGER' | 'MODALITY_FACE';
  readonly format: string;
  readonly data: Buffer;
  readonly modelId?: string;
  readonly dimension?: number;
}

/**
 * Reads a template. This example derives the format from the file extension; the service never guesses it.
 * @param model - the model that made a face embedding
 */
export function sampleOf(file: string, model: string): Sample {
  const data = readFileSync(file);
  if (file.endsWith('.iso')) return { modality: 'MODALITY_FINGER', format: 'TEMPLATE_FORMAT_ISO_19794_2_2005', data };
  if (file.endsWith('.f32'))
    return {
      modality: 'MODALITY_FACE',
      format: 'TEMPLATE_FORMAT_FACE_EMBEDDING_FLOAT32',
      data,
      modelId: model,
      dimension: data.length / 4,
    };
  throw new Error(`${basename(file)}: this example reads .iso (finger minutiae) and .f32 (face embeddings).`);
}

/** Calls a method and waits for its answer, until the deadline at most. */
export function call<Answer>(client: Client, method: string, request: object, deadline: number): Promise<Answer> {
  const start = client[method] as unknown as (
    request: object,
    options: { deadline: number },
    callback: (error: ServiceError | null, answer: Answer) => void,
  ) => unknown;
  return new Promise((done, failed) => {
    start.call(client, request, { deadline }, (error, answer) => {
      if (error === null) done(answer);
      else failed(new Refused(error));
    });
  });
}

/** The details of a refusal: one message of each type that the service sends. */
interface Details {
  readonly 'google.rpc.ErrorInfo'?: { readonly reason: string; readonly metadata: Readonly<Record<string, string>> };
  readonly 'google.rpc.BadRequest'?: {
    readonly fieldViolations: readonly { readonly field: string; readonly description: string }[];
  };
  readonly 'google.rpc.RetryInfo'?: { readonly retryDelay: { readonly seconds: string; readonly nanos: number } };
}

/** The deserializer of a type of the contract. */
function reader(type: string): (bytes: Buffer) => unknown {
  const found = definition[type];
  if (found === undefined || !('deserialize' in found)) throw new Error(`The contract has no ${type}.`);
  return found.deserialize as (bytes: Buffer) => unknown;
}

/** A call that the service refused, or that failed on the connection. */
export class Refused extends Error {
  /** Name of the gRPC status: UNAVAILABLE, INVALID_ARGUMENT … */
  readonly status: string;
  /** A constant of docs/errors.md; undefined: the refusal did not come from the service. */
  readonly reason: string | undefined;
  /** The fields at fault, in the contract's names. */
  readonly fields: readonly string[];
  /** Delay before a retry, in milliseconds; undefined: a retry alone does not help. */
  readonly retryAfterMs: number | undefined;

  constructor(error: ServiceError) {
    // Messages of grpc-js about connections may have several lines.
    super(error.details.trim().replace(/\s+/g, ' '));
    this.status = Code[error.code] ?? String(error.code);
    const details = detailsOf(error);
    this.reason = details['google.rpc.ErrorInfo']?.reason;
    this.fields = (details['google.rpc.BadRequest']?.fieldViolations ?? []).map(({ field }) => field);
    const delay = details['google.rpc.RetryInfo']?.retryDelay;
    this.retryAfterMs = delay && Number(delay.seconds) * 1000 + delay.nanos / 1e6;
  }

  /** Everything in one line. */
  inWords(): string {
    return [
      `${this.status}${this.reason === undefined ? '' : ` (${this.reason})`}: ${this.message}`,
      ...(this.fields.length > 0 ? [`Fields at fault: ${this.fields.join(', ')}.`] : []),
      ...(this.retryAfterMs === undefined ? [] : [`Try again in ${Math.ceil(this.retryAfterMs)} ms.`]),
    ].join(' ');
  }
}

/** The trailer `grpc-status-details-bin` holds a google.rpc.Status. Each of its details states its type. */
function detailsOf(error: ServiceError): Details {
  const [trailer] = error.metadata.get('grpc-status-details-bin');
  if (!(trailer instanceof Buffer)) return {};
  const { details } = reader('google.rpc.Status')(trailer) as { details: { type_url: string; value: Buffer }[] };
  return Object.fromEntries(
    details.map(({ type_url, value }) => {
      const type = type_url.slice(type_url.lastIndexOf('/') + 1);
      return [type, reader(type)(value)];
    }),
  );
}

/** Runs an example. Exit code 0: it completed; 1: it failed, with a sentence. */
export async function runExample(example: () => Promise<void>): Promise<void> {
  try {
    await example();
  } catch (error) {
    console.error(error instanceof Refused ? error.inWords() : error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
