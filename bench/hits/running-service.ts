/** The service of this bench: it may be killed and started again, at another address. */
import { mkdirSync } from 'node:fs';
import { credentials, Metadata } from '@grpc/grpc-js';
import { createPerson } from '../../fixtures/person.ts';
import {
  AccessClient,
  ClientKind,
  Role,
  type AddClientResponse,
} from '../../src/contract/generated/ridgewatch/v1/access.ts';
import { GalleryClient } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import {
  IdentificationClient,
  type IdentifyResponse,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import type { Sample } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { demoSamples } from '../../src/service/demo-gallery.ts';
import { SEEDS } from '../harness/seeds.ts';
import { channelOf } from '../service/channel.ts';
import { identifyRequest } from '../service/identify-request.ts';
import { endProcess, promised, startProcess, type ServiceProcess } from '../service/process.ts';
import { benchData } from '../service/subject-data.ts';

const PEOPLE = 40;
const DEADLINE_MS = 5000;
/** Attempts to start the service. */
const STARTS = 5;
const ENVIRONMENT = { RIDGEWATCH_WORKERS: '1', RIDGEWATCH_DEMO: 'never' };

export class RunningService {
  readonly #dataDir: string;
  readonly #databaseUrl: string;
  readonly #probes: readonly Sample[][];
  #process: ServiceProcess | undefined;
  /** Resolves when it runs: a search is not sent to one that was not started yet. */
  #started: Promise<void> = Promise.resolve();
  #identification: IdentificationClient | undefined;

  constructor(dataDir: string, databaseUrl: string) {
    mkdirSync(dataDir, { recursive: true });
    this.#dataDir = dataDir;
    this.#databaseUrl = databaseUrl;
    this.#probes = people().map((person) => demoSamples(person, 1).slice(0, 2));
  }

  /** host:port for gRPC, the one of now. */
  get address(): string {
    if (this.#process === undefined) throw new Error('the service was not started');
    return this.#process.address;
  }

  start(): Promise<void> {
    return (this.#started = this.#start());
  }

  /** Kills it without a chance to tidy up, and starts it again. */
  async killAndStart(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const killed = this.#process?.child;
    if (killed !== undefined) await endProcess(killed, 'SIGKILL');
    this.#started = promise;
    await this.#start();
    resolve();
  }

  async stop(): Promise<void> {
    this.#identification?.close();
    if (this.#process !== undefined) await endProcess(this.#process.child);
  }

  /**
   * Enrols people, and registers a client of the agency that has contributed their records.
   * @returns its token
   */
  async enrolForOwner(): Promise<string> {
    const { address } = this;
    const gallery = new GalleryClient(address, credentials.createInsecure(), channelOf(address));
    for (const [i, person] of people().entries()) {
      const data = { ...benchData(), externalId: `hits-${i}` };
      const request = { data, samples: demoSamples(person, 0).slice(0, 2), clientRequestId: '' };
      await promised((callback) => gallery.enroll(request, callback));
    }
    gallery.close();
    const access = new AccessClient(address, credentials.createInsecure(), channelOf(address));
    const { token } = await promised<AddClientResponse>((callback) =>
      access.addClient(
        {
          client: {
            clientId: 'owner',
            kind: ClientKind.MACHINE,
            agency: benchData().contributor,
            roles: [Role.CONTRIBUTOR],
            allGalleries: true,
            galleries: [],
            purposes: [],
            clearance: 0,
            callsPerSecond: 0,
            streams: 0,
            verificationsPerDay: 0,
          },
          credential: { how: { $case: 'token', value: true }, expireTime: undefined },
        },
        callback,
      ),
    );
    access.close();
    return token;
  }

  /** Searches for an enrolled person. @returns whether a candidate was found. @throws ServiceError */
  async search(number: number, requestId: string): Promise<boolean> {
    await this.#started;
    const client = this.#identification;
    if (client === undefined) throw new Error('the service was not started');
    const request = identifyRequest(this.#probes[number % PEOPLE], { clientRequestId: requestId });
    const { candidates } = await promised<IdentifyResponse>((callback) =>
      client.identify(request, new Metadata(), { deadline: Date.now() + DEADLINE_MS }, callback),
    );
    return candidates.length > 0;
  }

  async #start(): Promise<void> {
    const settings = { DATABASE_URL: this.#databaseUrl, ...ENVIRONMENT };
    // On a busy machine the database may not answer in time: what restarts a service tries again, too.
    for (let attempt = 1; ; attempt++) {
      const started = startProcess(this.#dataDir, settings);
      const process = await (attempt < STARTS ? started.catch(() => undefined) : started);
      if (process === undefined) continue;
      this.#process = process;
      break;
    }
    this.#identification?.close();
    this.#identification = new IdentificationClient(
      this.address,
      credentials.createInsecure(),
      channelOf(this.address),
    );
  }
}

function people() {
  return Array.from({ length: PEOPLE }, (_, i) => createPerson(SEEDS.enrolled, i));
}
