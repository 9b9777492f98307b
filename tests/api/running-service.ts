/** A real service on a real database, with clients. Its whole log is captured. */
import { credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { createPerson } from '../../fixtures/person.ts';
import {
  GalleryClient,
  Provenance,
  type EnrollRequest,
  type EnrollResponse,
  type UpdateSubjectRequest,
} from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import {
  IdentificationClient,
  Purpose,
  type IdentifyRequest,
  type VerifyRequest,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { OperationsClient } from '../../src/contract/generated/ridgewatch/v1/operations.ts';
import type { Sample } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { localTokenFile, readToken } from '../../src/access/local-client.ts';
import { noteToken } from '../tokens.ts';
import { readServiceError, type ReceivedStatus } from '../../src/api/status.ts';
import { readConfiguration } from '../../src/configuration.ts';
import type { SettingName } from '../../src/service-settings.ts';
import { demoSamples } from '../../src/service/demo-gallery.ts';
import { createLogger } from '../../src/observability/logging.ts';
import { startService, type Service } from '../../src/service/service.ts';
import { temporaryDirectory } from '../cluster.ts';
import { bearer } from '../../src/security/bearer.ts';
import { DIRECT_CHANNEL } from '../../src/security/client-channel.ts';
import { UNLIMITED } from '../../src/store/records.ts';

export interface RunningService {
  readonly service: Service;
  readonly identification: IdentificationClient;
  readonly gallery: GalleryClient;
  readonly operations: OperationsClient;
  /** File with the token of the local client. */
  readonly tokenFile: string;
  /** Header of HTTP requests of the local client. */
  readonly headers: { readonly authorization: string };
  /** All lines that the service has logged. */
  readonly log: string[];
  stop(): Promise<void>;
}

const dataDirectories = new Map<string, string>();

/** Equal for every service on the same database: the directory holds the keys. */
export function dataDirectoryOf(databaseUrl: string): string {
  const known = dataDirectories.get(databaseUrl) ?? temporaryDirectory();
  dataDirectories.set(databaseUrl, known);
  return known;
}

/**
 * @param databaseUrl - undefined for an embedded database in the data directory, which the settings then have to name
 */
export async function runService(
  databaseUrl: string | undefined,
  settings: Partial<Record<SettingName, string>> = {},
): Promise<RunningService> {
  const log: string[] = [];
  const configuration = readConfiguration(
    {},
    {
      ...(databaseUrl !== undefined && {
        DATABASE_URL: databaseUrl,
        RIDGEWATCH_DATA_DIR: dataDirectoryOf(databaseUrl),
      }),
      RIDGEWATCH_GRPC_PORT: '0',
      RIDGEWATCH_HTTP_PORT: '0',
      RIDGEWATCH_WORKERS: '2',
      RIDGEWATCH_LOG_LEVEL: 'trace',
      ...settings,
    },
  );
  const service = await startService(
    configuration,
    createLogger('trace', { write: (line: string) => void log.push(line) }),
  );
  const address = `127.0.0.1:${service.grpcPort}`;
  const tokenFile = localTokenFile(configuration.dataDir);
  for (const host of ['127.0.0.1', 'localhost']) noteToken(`${host}:${service.grpcPort}`, tokenFile);
  const token = readToken(tokenFile) ?? '';
  // Each client deletes the interceptors from its options.
  const options = () => ({ ...DIRECT_CHANNEL, interceptors: [bearer(token)] });
  const clients = {
    identification: new IdentificationClient(address, credentials.createInsecure(), options()),
    gallery: new GalleryClient(address, credentials.createInsecure(), options()),
    operations: new OperationsClient(address, credentials.createInsecure(), options()),
  };
  return {
    service,
    tokenFile,
    headers: { authorization: `Bearer ${token}` },
    ...clients,
    log,
    stop: async () => {
      for (const client of Object.values(clients)) client.close();
      await service.stop();
    },
  };
}

/** The page of metrics. */
export async function metricsOf({ service, headers }: Pick<RunningService, 'service' | 'headers'>): Promise<string> {
  return (await fetch(`http://127.0.0.1:${service.httpPort}/metrics`, { headers })).text();
}

type Method<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: { deadline?: number },
  callback: (error: ServiceError | null, response: Response) => void,
) => unknown;

/** Calls a method; rejects with the received status. */
export function call<Request, Response>(
  client: object,
  method: Method<Request, Response>,
  request: Request,
  options: { deadline?: number } = {},
): Promise<Response> {
  return new Promise((resolve, reject) => {
    method.call(client, request, new Metadata(), options, (error, response) => {
      if (error === null) resolve(response);
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what tests compare is the status
      else reject(readServiceError(error));
    });
  });
}

/** The status of a refused call. */
export async function refused(outcome: Promise<unknown>): Promise<ReceivedStatus> {
  return outcome.then(
    () => {
      throw new Error('the call was not refused');
    },
    (status: unknown) => status as ReceivedStatus,
  );
}

export function enrolRequest(samples: Sample[], changes: Partial<EnrollRequest> = {}): EnrollRequest {
  return {
    data: {
      contributor: 'agency',
      externalId: '',
      galleries: ['main'],
      caveats: [],
      provenance: Provenance.SYNTHETIC,
      ...UNLIMITED,
    },
    samples,
    clientRequestId: '',
    ...changes,
  };
}

export function identifyRequest(samples: Sample[], changes: Partial<IdentifyRequest> = {}): IdentifyRequest {
  return {
    samples,
    galleries: [],
    maxCandidates: 0,
    threshold: undefined,
    exact: false,
    purpose: Purpose.TEST,
    checkpointId: 'gate-1',
    clientRequestId: '',
    ...changes,
  };
}

export function verifyRequest(
  samples: Sample[],
  claim: VerifyRequest['claim'],
  changes: Partial<VerifyRequest> = {},
): VerifyRequest {
  return { samples, claim, purpose: Purpose.TEST, checkpointId: 'gate-1', clientRequestId: '', ...changes };
}

/** Two fingers and a face of a synthetic person. Capture 0 is for enrolment. */
export function samplesOf(person: number, capture: number): Sample[] {
  return demoSamples(createPerson(77, person), capture);
}

/** The calls of the service as functions. The service is looked up at each call, because a test may restart it. */
export function callsOf(running: () => RunningService) {
  return {
    identify: (samples: Sample[], changes: Partial<IdentifyRequest> = {}) => {
      const { identification } = running();
      return call(identification, identification.identify.bind(identification), identifyRequest(samples, changes));
    },
    verify: (samples: Sample[], claim: VerifyRequest['claim'], changes: Partial<VerifyRequest> = {}) => {
      const { identification } = running();
      return call(identification, identification.verify.bind(identification), verifyRequest(samples, claim, changes));
    },
    enroll: (samples: Sample[], changes: Partial<EnrollRequest> = {}) => {
      const { gallery } = running();
      return call(gallery, gallery.enroll.bind(gallery), enrolRequest(samples, changes));
    },
    update: (request: UpdateSubjectRequest) => {
      const { gallery } = running();
      return call(gallery, gallery.updateSubject.bind(gallery), request);
    },
    expunge: (subjectId: string) => {
      const { gallery } = running();
      return call(gallery, gallery.expungeSubject.bind(gallery), { subjectId, reason: 'test' });
    },
    status: () => {
      const { operations } = running();
      return call(operations, operations.getStatus.bind(operations), {});
    },
  };
}

export function enrolPerson(
  running: RunningService,
  person: number,
  changes: Partial<EnrollRequest> = {},
): Promise<EnrollResponse> {
  return callsOf(() => running).enroll(samplesOf(person, 0), changes);
}
