/** Enrols and expunges subjects while a service runs, and checks its answers about them. */
import { credentials, Metadata, status as Code, type ServiceError } from '@grpc/grpc-js';
import { createPerson } from '../../fixtures/person.ts';
import { GalleryClient, type EnrollResponse } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import {
  IdentificationClient,
  type IdentifyResponse,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { demoSamples } from '../../src/service/demo-gallery.ts';
import { benchData } from '../service/subject-data.ts';
import { SEEDS } from '../harness/seeds.ts';
import { identifyRequest } from '../service/identify-request.ts';
import { promised } from '../service/process.ts';
import { channelOf } from '../service/channel.ts';

/** Largest number of subjects at a time. */
const MOST = 40;
const PAUSE_MS = 200;
const SAMPLE = 5;
/** Longest wait while the database or the service is unavailable. */
const PATIENCE_MS = 60_000;

interface Resident {
  readonly person: number;
  readonly subjectId: string;
}

export class LivingGallery {
  #gallery: GalleryClient;
  #identification: IdentificationClient;
  readonly #present: Resident[] = [];
  readonly #gone: Resident[] = [];
  #person = 0;
  #checked = 0;
  #notFound = 0;
  #foundAgain = 0;

  constructor(address: string) {
    this.#gallery = new GalleryClient(address, credentials.createInsecure(), channelOf(address));
    this.#identification = new IdentificationClient(address, credentials.createInsecure(), channelOf(address));
  }

  /** Connects to the new port after a restart. */
  moveTo(address: string): void {
    this.close();
    this.#gallery = new GalleryClient(address, credentials.createInsecure(), channelOf(address));
    this.#identification = new IdentificationClient(address, credentials.createInsecure(), channelOf(address));
  }

  close(): void {
    this.#gallery.close();
    this.#identification.close();
  }

  /** Enrols and expunges for some time, and searches for each subject at once. */
  async change(milliseconds: number): Promise<void> {
    const end = Date.now() + milliseconds;
    while (Date.now() < end) {
      if (this.#present.length < MOST) await this.#enrol();
      else await this.#expunge();
      await new Promise((done) => setTimeout(done, PAUSE_MS));
    }
  }

  /** Searches for the oldest enrolled subjects, and for the oldest expunged ones. */
  async checkSome(): Promise<void> {
    for (const resident of this.#present.slice(0, SAMPLE)) await this.#expect(resident, true);
    for (const resident of this.#gone.slice(0, SAMPLE)) await this.#expect(resident, false);
  }

  async checkEverybody() {
    for (const resident of this.#present) await this.#expect(resident, true);
    for (const resident of this.#gone) await this.#expect(resident, false);
    return {
      enrolled: this.#present.length + this.#gone.length,
      expunged: this.#gone.length,
      'answers checked': this.#checked,
      'enrolled and not found': this.#notFound,
      'expunged and found': this.#foundAgain,
    };
  }

  async #enrol(): Promise<void> {
    const person = this.#person++;
    const name = `soak-${person}`;
    const samples = demoSamples(createPerson(SEEDS.enrolled, person), 0);
    const request = { data: { ...benchData(), externalId: name }, samples, clientRequestId: name };
    const { subject } = await patiently(() =>
      promised<EnrollResponse>((callback) =>
        this.#gallery.enroll(request, new Metadata(), { deadline: Date.now() + 5000 }, callback),
      ),
    );
    const resident = { person, subjectId: subject?.subjectId ?? '' };
    this.#present.push(resident);
    await this.#expect(resident, true);
  }

  async #expunge(): Promise<void> {
    const resident = this.#present.shift();
    if (resident === undefined) return;
    const request = { subjectId: resident.subjectId, reason: 'bench' };
    await patiently(() =>
      promised((callback) =>
        this.#gallery.expungeSubject(request, new Metadata(), { deadline: Date.now() + 5000 }, callback),
      ).catch((error: ServiceError) => {
        // The subject was expunged, but the answer was lost.
        if (error.code !== Code.NOT_FOUND) throw error;
      }),
    );
    this.#gone.push(resident);
    await this.#expect(resident, false);
  }

  async #expect({ person, subjectId }: Resident, isPresent: boolean): Promise<void> {
    const request = identifyRequest(demoSamples(createPerson(SEEDS.enrolled, person), 0));
    const { candidates } = await patiently(() =>
      promised<IdentifyResponse>((callback) => this.#identification.identify(request, callback)),
    );
    const isFound = candidates.some((candidate) => candidate.subjectId === subjectId);
    this.#checked++;
    if (isPresent && !isFound) this.#notFound++;
    if (!isPresent && isFound) this.#foundAgain++;
  }
}

/** Retries while the service is unavailable. */
async function patiently<T>(call: () => Promise<T>): Promise<T> {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      const { code } = error as ServiceError;
      const isAway = code === Code.UNAVAILABLE || code === Code.DEADLINE_EXCEEDED || code === Code.CANCELLED;
      if (!isAway || Date.now() > until) throw error;
      await new Promise((done) => setTimeout(done, PAUSE_MS));
    }
  }
}
