import { Metadata, status as Code, type ClientUnaryCall, type ServiceError } from '@grpc/grpc-js';
import {
  GalleryClient,
  type EnrollRequest,
  type EnrollStreamResponse,
  type ExpungeSubjectRequest,
  type ExpungeSubjectResponse,
  type ListSubjectsRequest,
  type ListSubjectsResponse,
} from '../api/generated/ridgewatch/v1/gallery.ts';
import {
  IdentificationClient,
  type IdentifyRequest,
  type IdentifyResponse,
  type VerifyRequest,
  type VerifyResponse,
} from '../api/generated/ridgewatch/v1/identification.ts';
import {
  OperationsClient,
  type GetContentHashResponse,
  type GetStatusResponse,
  type ReloadIndexResponse,
} from '../api/generated/ridgewatch/v1/operations.ts';
import { readServiceError } from '../api/status.ts';
import { createClientCredentials, type ClientTlsSettings } from '../security/client-credentials.ts';
import { CallFailed } from './failure-output.ts';

export interface ConnectionSettings extends ClientTlsSettings {
  /** host:port */
  readonly address: string;
  /** Deadline of each call. */
  readonly timeoutSeconds: number;
}

type Callback<Response> = (error: ServiceError | null, response: Response) => void;

/** The service as promises. Calls reject with CallFailed. */
export class ServiceClient {
  readonly #identification: IdentificationClient;
  readonly #gallery: GalleryClient;
  readonly #operations: OperationsClient;
  readonly #settings: ConnectionSettings;

  constructor(settings: ConnectionSettings) {
    const credentials = createClientCredentials(settings);
    this.#settings = settings;
    this.#identification = new IdentificationClient(settings.address, credentials);
    this.#gallery = new GalleryClient(settings.address, credentials);
    this.#operations = new OperationsClient(settings.address, credentials);
  }

  identify(request: IdentifyRequest): Promise<IdentifyResponse> {
    return this.#call((options, callback) => this.#identification.identify(request, new Metadata(), options, callback));
  }

  verify(request: VerifyRequest): Promise<VerifyResponse> {
    return this.#call((options, callback) => this.#identification.verify(request, new Metadata(), options, callback));
  }

  status(): Promise<GetStatusResponse> {
    return this.#call((options, callback) => this.#operations.getStatus({}, new Metadata(), options, callback));
  }

  contentHash(): Promise<GetContentHashResponse> {
    return this.#call((options, callback) => this.#operations.getContentHash({}, new Metadata(), options, callback));
  }

  reloadIndex(): Promise<ReloadIndexResponse> {
    return this.#call((options, callback) => this.#operations.reloadIndex({}, new Metadata(), options, callback));
  }

  listSubjects(request: ListSubjectsRequest): Promise<ListSubjectsResponse> {
    return this.#call((options, callback) => this.#gallery.listSubjects(request, new Metadata(), options, callback));
  }

  expunge(request: ExpungeSubjectRequest): Promise<ExpungeSubjectResponse> {
    return this.#call((options, callback) => this.#gallery.expungeSubject(request, new Metadata(), options, callback));
  }

  /** Enrols records in one stream; an outcome for each, in the order given. */
  enrollStream(records: readonly EnrollRequest[]): Promise<EnrollStreamResponse> {
    return this.#call((options, callback) => {
      const call = this.#gallery.enrollStream(new Metadata(), options, callback);
      for (const record of records) call.write({ record });
      call.end();
      return call;
    });
  }

  close(): void {
    for (const client of [this.#identification, this.#gallery, this.#operations]) client.close();
  }

  #call<Response>(
    start: (options: { deadline: number }, callback: Callback<Response>) => Pick<ClientUnaryCall, 'cancel'>,
  ): Promise<Response> {
    const deadline = Date.now() + this.#settings.timeoutSeconds * 1000;
    return new Promise((resolve, reject) => {
      start({ deadline }, (error, response) => {
        if (error === null) resolve(response);
        else reject(new CallFailed(this.#explain(error)));
      });
    });
  }

  #explain(error: ServiceError) {
    const status = readServiceError(error);
    // A status without a reason comes from the connection, not from the service.
    if (status.reason !== undefined || status.code !== (Code.UNAVAILABLE as number)) return status;
    const message = `No service answers at ${this.#settings.address}: start one with "npm start", or name it with --address.`;
    return { ...status, message, reason: 'SERVICE_UNREACHABLE' };
  }
}
