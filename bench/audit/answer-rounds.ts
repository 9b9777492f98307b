/** Rounds in which a whole service is killed under load, and the answers that have no record afterwards. */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { credentials } from '@grpc/grpc-js';
import { createPerson } from '../../fixtures/person.ts';
import type { AuditRecord } from '../../src/audit/audit-entry.ts';
import {
  GalleryClient,
  type EnrollResponse,
  type GetSubjectResponse,
} from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import {
  IdentificationClient,
  type IdentifyResponse,
  type IdentifyStreamResponse,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { Random } from '../../src/random.ts';
import { demoSamples } from '../../src/service/demo-gallery.ts';
import { SEEDS } from '../harness/seeds.ts';
import { channelOf } from '../service/channel.ts';
import { identifyRequest } from '../service/identify-request.ts';
import { databaseProcess, endProcess, promised, startCommand, startProcess } from '../service/process.ts';
import { benchData } from '../service/subject-data.ts';

const CALLERS = 8;
/** Answers of a round before its end, however slow the machine; then it comes at any moment. */
const ANSWERS = 15;
/** Longest wait for them, in milliseconds. */
const PATIENCE_MS = 30_000;
const ENVIRONMENT = { RIDGEWATCH_WORKERS: '1', RIDGEWATCH_DEMO: 'always', RIDGEWATCH_DEMO_SUBJECTS: '20' };

export interface AnswerResult {
  /** Answers that callers received. */
  readonly answered: number;
  /** Of these: without a record after the next start. */
  readonly unrecorded: number;
  /** Answered while the database was gone. */
  readonly withoutDatabase: number;
  /** Exit code of `ridgewatch audit verify`. */
  readonly verified: number | null;
}

/** What callers have received: methods by what their records are found by. */
class Received {
  /** Request id, or method and subject id, by number of answers. */
  readonly answers = new Map<string, number>();
  #requests = 0;

  note(key: string): void {
    this.answers.set(key, (this.answers.get(key) ?? 0) + 1);
  }

  nextRequest(): string {
    return `answer-${this.#requests++}`;
  }

  get count(): number {
    return [...this.answers.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Waits for answers, as long as it is patient. */
  async until(count: number): Promise<void> {
    for (const began = performance.now(); this.count < count && performance.now() - began < PATIENCE_MS;)
      await delay(5);
  }
}

/** @param onRound - called after each round with the answers so far */
export async function answerRounds(
  rounds: number,
  onRound: (round: number, answered: number) => void,
): Promise<AnswerResult> {
  const dataDir = mkdtempSync(join(tmpdir(), 'ridgewatch-answers-'));
  const moments = new Random(SEEDS.kills);
  const received = new Received();
  let withoutDatabase = 0;
  try {
    for (let round = 0; round < rounds; round++) {
      const { child, address } = await startProcess(dataDir, ENVIRONMENT);
      const gone = once(child, 'exit');
      const loaded = load(address, received);
      await received.until(received.count + ANSWERS);
      await delay(800 * moments.uniform());
      // In every other round the records go to the local file first.
      if (round % 2 === 1) {
        process.kill(databaseProcess(dataDir), 'SIGKILL');
        const before = received.count;
        await received.until(before + 1);
        await delay(400 * moments.uniform());
        withoutDatabase += received.count - before;
      }
      child.kill('SIGKILL');
      await Promise.all([gone, loaded]);
      onRound(round + 1, received.count);
    }
    // Brings the files over.
    await endProcess((await startProcess(dataDir, ENVIRONMENT)).child);
    const records = await recordsOf(dataDir);
    const unrecorded = [...received.answers].reduce(
      (sum, [key, count]) => sum + Math.max(0, count - (records.get(key) ?? 0)),
      0,
    );
    const verified = await codeOf(['audit', 'verify'], dataDir);
    return { answered: received.count, unrecorded, withoutDatabase, verified };
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** Calls until the service is gone. */
async function load(address: string, received: Received): Promise<void> {
  const gallery = new GalleryClient(address, credentials.createInsecure(), channelOf(address));
  const identification = new IdentificationClient(address, credentials.createInsecure(), channelOf(address));
  const samples = demoSamples(createPerson(SEEDS.enrolled, 0), 0);
  const callers = Array.from({ length: CALLERS }, async (_, caller) => {
    if (caller === 0) return searchStream(identification, received);
    for (;;)
      if (caller === 1) await change(gallery, received);
      else {
        const request = identifyRequest(samples, { clientRequestId: received.nextRequest() });
        const { requestId } = await promised<IdentifyResponse>((callback) =>
          identification.identify(request, callback),
        );
        received.note(requestId);
      }
  });
  await Promise.allSettled(callers);
  gallery.close();
  identification.close();
}

/** Searches that may have two answers each. */
async function searchStream(client: IdentificationClient, received: Received): Promise<void> {
  const stream = client.identifyStream();
  const search = () => {
    const request = identifyRequest(demoSamples(createPerson(SEEDS.enrolled, 0), 0), {
      clientRequestId: received.nextRequest(),
      firstHit: true,
    });
    stream.write({ request });
  };
  stream.on('data', ({ requestId, outcome }: IdentifyStreamResponse) => {
    if (outcome?.$case === 'response') received.note(requestId);
    search();
  });
  const ended = once(stream, 'error');
  search();
  await ended;
}

/** Enrols a subject and reads it. While the database is gone, neither is answered. */
async function change(gallery: GalleryClient, received: Received): Promise<void> {
  const samples = demoSamples(createPerson(SEEDS.enrolled, 1), 0);
  const request = { data: benchData(), samples, clientRequestId: '' };
  const { subject } = await promised<EnrollResponse>((callback) => gallery.enroll(request, callback));
  const subjectId = subject?.subjectId ?? '';
  received.note(`Gallery/Enroll ${subjectId}`);
  await promised<GetSubjectResponse>((callback) => gallery.getSubject({ subjectId }, callback));
  received.note(`Gallery/GetSubject ${subjectId}`);
}

/** Records of calls that were answered, by what `Received` has. */
async function recordsOf(dataDir: string): Promise<Map<string, number>> {
  const file = join(dataDir, 'records.ndjson');
  const code = await codeOf(['audit', 'export', '--out', file], dataDir);
  if (code !== 0) throw new Error(`the audit could not be exported (${code})`);
  const found = new Map<string, number>();
  for (const line of readFileSync(file, 'utf8').trim().split('\n')) {
    const { record } = JSON.parse(line) as { record?: AuditRecord };
    if (record?.outcome !== 'OK' || record.method === undefined) continue;
    const { method, subject_id: subjectId, request_id: requestId = '' } = record;
    const key = subjectId === undefined ? requestId : `${method} ${subjectId}`;
    found.set(key, (found.get(key) ?? 0) + 1);
  }
  return found;
}

async function codeOf(args: readonly string[], dataDir: string): Promise<number | null> {
  const command = startCommand(args, dataDir);
  await once(command, 'exit');
  return command.exitCode;
}
