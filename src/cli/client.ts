import { Metadata, status as Code, type ClientUnaryCall, type ServiceError } from '@grpc/grpc-js';
import {
  AccessClient,
  type AddClientRequest,
  type AddClientResponse,
  type DisableClientRequest,
  type DisableClientResponse,
  type ListClientsResponse,
  type RegisteredClient,
  type RevokeCredentialRequest,
  type RevokeCredentialResponse,
  type RotateCredentialRequest,
  type RotateCredentialResponse,
  type UpdateClientRequest,
  type UpdateClientResponse,
} from '../contract/generated/ridgewatch/v1/access.ts';
import {
  AuditClient,
  type ReadAuditRequest,
  type ReadAuditResponse,
} from '../contract/generated/ridgewatch/v1/audit.ts';
import type {
  DecideRequest,
  DecideResponse,
  EscalateRequest,
  EscalateResponse,
  GetCaseRequest,
  GetCaseResponse,
  ListCasesRequest,
  ListCasesResponse,
  ReportOutcomeRequest,
  ReportOutcomeResponse,
  SubmitAnalysisRequest,
  SubmitAnalysisResponse,
} from '../contract/generated/ridgewatch/v1/cases.ts';
import {
  GalleryClient,
  type ApproveExpungeRequest,
  type ApproveExpungeResponse,
  type EnrollRequest,
  type EnrollStreamResponse,
  type ExpungeSubjectRequest,
  type ExpungeSubjectResponse,
  type FindDuplicatesRequest,
  type FindDuplicatesResponse,
  type ListExpungeProposalsRequest,
  type ListExpungeProposalsResponse,
  type GetSubjectRequest,
  type GetSubjectResponse,
  type ListSubjectsRequest,
  type ListSubjectsResponse,
  type ProposeExpungeRequest,
  type ProposeExpungeResponse,
  type ReadHistoryRequest,
  type ReadHistoryResponse,
  type UpdateSubjectRequest,
  type UpdateSubjectResponse,
} from '../contract/generated/ridgewatch/v1/gallery.ts';
import {
  IdentificationClient,
  type IdentifyRequest,
  type IdentifyResponse,
  type VerifyRequest,
  type VerifyResponse,
} from '../contract/generated/ridgewatch/v1/identification.ts';
import {
  OperationsClient,
  type GetContentHashResponse,
  type GetStatusResponse,
  type ReloadIndexResponse,
} from '../contract/generated/ridgewatch/v1/operations.ts';
import {
  SharingClient,
  type AcknowledgeHitsRequest,
  type AcknowledgeHitsResponse,
  type WatchHitsRequest,
  type WatchHitsResponse,
} from '../contract/generated/ridgewatch/v1/sharing.ts';
import { readServiceError, type ReceivedStatus } from '../api/status.ts';
import { bearer } from '../security/bearer.ts';
import { DIRECT_CHANNEL } from '../security/client-channel.ts';
import { createClientCredentials, type ClientTlsSettings } from '../security/client-credentials.ts';
import { diagnose } from './connection-diagnosis.ts';
import { CallFailed } from './failure-output.ts';

export interface ConnectionSettings extends ClientTlsSettings {
  /** host:port */
  readonly address: string;
  /** Deadline of each call. */
  readonly timeoutSeconds: number;
  /** Undefined: the service knows the caller by its certificate. */
  readonly token: string | undefined;
}

/** The most that a page holds. */
const CLIENTS_PER_PAGE = 1000;

type Callback<Response> = (error: ServiceError | null, response: Response) => void;

/** The service as promises. Calls reject with CallFailed. */
export class ServiceClient {
  readonly #identification: IdentificationClient;
  readonly #gallery: GalleryClient;
  readonly #operations: OperationsClient;
  readonly #audit: AuditClient;
  readonly #access: AccessClient;
  readonly #sharing: SharingClient;
  readonly #settings: ConnectionSettings;

  constructor(settings: ConnectionSettings) {
    const credentials = createClientCredentials(settings);
    this.#settings = settings;
    const { token, address } = settings;
    // Each client deletes the interceptors from its options.
    const options = () => ({ ...DIRECT_CHANNEL, interceptors: token === undefined ? [] : [bearer(token)] });
    this.#identification = new IdentificationClient(address, credentials, options());
    this.#gallery = new GalleryClient(address, credentials, options());
    this.#operations = new OperationsClient(address, credentials, options());
    this.#audit = new AuditClient(address, credentials, options());
    this.#access = new AccessClient(address, credentials, options());
    this.#sharing = new SharingClient(address, credentials, options());
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

  getSubject(request: GetSubjectRequest): Promise<GetSubjectResponse> {
    return this.#call((options, callback) => this.#gallery.getSubject(request, new Metadata(), options, callback));
  }

  update(request: UpdateSubjectRequest): Promise<UpdateSubjectResponse> {
    return this.#call((options, callback) => this.#gallery.updateSubject(request, new Metadata(), options, callback));
  }

  expunge(request: ExpungeSubjectRequest): Promise<ExpungeSubjectResponse> {
    return this.#call((options, callback) => this.#gallery.expungeSubject(request, new Metadata(), options, callback));
  }

  proposeExpunge(request: ProposeExpungeRequest): Promise<ProposeExpungeResponse> {
    return this.#call((options, callback) => this.#gallery.proposeExpunge(request, new Metadata(), options, callback));
  }

  approveExpunge(request: ApproveExpungeRequest): Promise<ApproveExpungeResponse> {
    return this.#call((options, callback) => this.#gallery.approveExpunge(request, new Metadata(), options, callback));
  }

  listExpungeProposals(request: ListExpungeProposalsRequest): Promise<ListExpungeProposalsResponse> {
    return this.#call((options, callback) =>
      this.#gallery.listExpungeProposals(request, new Metadata(), options, callback),
    );
  }

  readHistory(request: ReadHistoryRequest): Promise<ReadHistoryResponse> {
    return this.#call((options, callback) => this.#gallery.readHistory(request, new Metadata(), options, callback));
  }

  findDuplicates(request: FindDuplicatesRequest): Promise<FindDuplicatesResponse> {
    return this.#call((options, callback) => this.#gallery.findDuplicates(request, new Metadata(), options, callback));
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

  addClient(request: AddClientRequest): Promise<AddClientResponse> {
    return this.#call((options, callback) => this.#access.addClient(request, new Metadata(), options, callback));
  }

  /** All clients, page by page, in order of their ids. */
  async listClients(): Promise<RegisteredClient[]> {
    const clients: RegisteredClient[] = [];
    let pageToken = '';
    do {
      const request = { pageSize: CLIENTS_PER_PAGE, pageToken };
      const page = await this.#call<ListClientsResponse>((options, callback) =>
        this.#access.listClients(request, new Metadata(), options, callback),
      );
      clients.push(...page.clients);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return clients;
  }

  updateClient(request: UpdateClientRequest): Promise<UpdateClientResponse> {
    return this.#call((options, callback) => this.#access.updateClient(request, new Metadata(), options, callback));
  }

  revokeCredential(request: RevokeCredentialRequest): Promise<RevokeCredentialResponse> {
    return this.#call((options, callback) => this.#access.revokeCredential(request, new Metadata(), options, callback));
  }

  rotateCredential(request: RotateCredentialRequest): Promise<RotateCredentialResponse> {
    return this.#call((options, callback) => this.#access.rotateCredential(request, new Metadata(), options, callback));
  }

  disableClient(request: DisableClientRequest): Promise<DisableClientResponse> {
    return this.#call((options, callback) => this.#access.disableClient(request, new Metadata(), options, callback));
  }

  acknowledgeHits(request: AcknowledgeHitsRequest): Promise<AcknowledgeHitsResponse> {
    return this.#call((options, callback) => this.#sharing.acknowledgeHits(request, new Metadata(), options, callback));
  }

  listCases(request: ListCasesRequest): Promise<ListCasesResponse> {
    return this.#call((options, callback) => this.#sharing.listCases(request, new Metadata(), options, callback));
  }

  getCase(request: GetCaseRequest): Promise<GetCaseResponse> {
    return this.#call((options, callback) => this.#sharing.getCase(request, new Metadata(), options, callback));
  }

  submitAnalysis(request: SubmitAnalysisRequest): Promise<SubmitAnalysisResponse> {
    return this.#call((options, callback) => this.#sharing.submitAnalysis(request, new Metadata(), options, callback));
  }

  decide(request: DecideRequest): Promise<DecideResponse> {
    return this.#call((options, callback) => this.#sharing.decide(request, new Metadata(), options, callback));
  }

  escalate(request: EscalateRequest): Promise<EscalateResponse> {
    return this.#call((options, callback) => this.#sharing.escalate(request, new Metadata(), options, callback));
  }

  reportOutcome(request: ReportOutcomeRequest): Promise<ReportOutcomeResponse> {
    return this.#call((options, callback) => this.#sharing.reportOutcome(request, new Metadata(), options, callback));
  }

  /**
   * Streams hits until the signal is aborted.
   * @throws CallFailed
   */
  async *watchHits(request: WatchHitsRequest, signal: AbortSignal): AsyncGenerator<WatchHitsResponse> {
    const call = this.#sharing.watchHits(request);
    const cancel = () => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      yield* call as AsyncIterable<WatchHitsResponse>;
    } catch (error) {
      if (!signal.aborted) throw new CallFailed(await this.#explain(error as ServiceError));
    } finally {
      signal.removeEventListener('abort', cancel);
      // Its end is of no interest any more, and must not be an error of its own.
      call.on('error', () => undefined);
      call.cancel();
    }
  }

  /**
   * Reads audit records.
   * @param take - called with each answer, in order
   */
  readAudit(request: ReadAuditRequest, take: (answer: ReadAuditResponse) => void): Promise<void> {
    const deadline = Date.now() + this.#settings.timeoutSeconds * 1000;
    return new Promise((resolve, reject) => {
      const stream = this.#audit.readAudit(request, new Metadata(), { deadline });
      stream.on('data', take);
      stream.on('end', resolve);
      stream.on('error', (error) => {
        this.#explain(error as ServiceError).then((status) => reject(new CallFailed(status)), reject);
      });
    });
  }

  close(): void {
    const all = [this.#identification, this.#gallery, this.#operations, this.#access, this.#sharing, this.#audit];
    for (const client of all) client.close();
  }

  #call<Response>(
    start: (options: { deadline: number }, callback: Callback<Response>) => Pick<ClientUnaryCall, 'cancel'>,
  ): Promise<Response> {
    const deadline = Date.now() + this.#settings.timeoutSeconds * 1000;
    return new Promise((resolve, reject) => {
      start({ deadline }, (error, response) => {
        if (error === null) resolve(response);
        else this.#explain(error).then((status) => reject(new CallFailed(status)), reject);
      });
    });
  }

  /** A status without a reason comes from the connection or from another program, not from the service. */
  async #explain(error: ServiceError): Promise<ReceivedStatus> {
    const { address, timeoutSeconds } = this.#settings;
    const status = readServiceError(error);
    // UNIMPLEMENTED: a service of another version does not have the method.
    if (status.reason !== undefined && status.code !== (Code.UNIMPLEMENTED as number)) return status;
    if (status.code === (Code.UNAVAILABLE as number)) {
      const found = await diagnose(address, this.#settings);
      const message = `The connection to ${address} broke: the service was stopped, or the network failed. Try again.`;
      return { ...status, ...(found ?? { message, reason: 'CONNECTION_BROKEN' }) };
    }
    if (status.code === (Code.DEADLINE_EXCEEDED as number)) {
      const message = `${address} has not answered within ${timeoutSeconds} s: raise --timeout, or check whether it is overloaded.`;
      return { ...status, message, reason: 'NO_ANSWER' };
    }
    if (status.code === (Code.UNIMPLEMENTED as number)) {
      const message = `The server at ${address} speaks gRPC, but is not a Ridgewatch service, or is one of another version.`;
      return { ...status, message, reason: 'NOT_A_SERVICE' };
    }
    return status;
  }
}
