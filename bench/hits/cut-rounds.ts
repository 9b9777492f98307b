/** Cuts at random moments while searches make hits, and what came to the owner in spite of them. */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { Random } from '../../src/random.ts';
import { SEEDS } from '../harness/seeds.ts';
import { benchData } from '../service/subject-data.ts';
import { CuttableWay } from './cuttable-way.ts';
import { judge, type Judgement, type KeptHit } from './judgement.ts';
import { OwnerStream } from './owner-stream.ts';
import type { RunningService } from './running-service.ts';

const CALLERS = 2;
/** Pause of a caller after a failed search, in milliseconds. */
const PAUSE_MS = 50;
/** Before each cut up to so many more searches are answered, and then up to this time passes, in milliseconds. */
const BETWEEN = { answers: 6, ms: 100 };
/** Longest wait for these answers, in milliseconds: while the database is cut off there may be none. */
const ANSWERS_MS = 15_000;
/** Share of the connections that are also cut by themselves, and after how many bytes at most: within a message. */
const SELF_CUT = { share: 0.3, bytes: 20_000 };
/** Longest wait for the last hits: hits that wait in the audit's spool are replayed within it. In milliseconds. */
const LAST_MS = 60_000;

type Victim = 'stream' | 'database' | 'service';

export interface CutResult extends Judgement {
  readonly cuts: Readonly<Record<Victim, number>>;
  /** How often the owner opened its stream. */
  readonly streams: number;
  readonly searches: number;
  /** Searches answered with a candidate. */
  readonly answered: number;
  /** Searches without an answer: their hits may or may not exist. */
  readonly unanswered: number;
}

/** @param owner - token of the owner. @param kills - how many of the cuts kill the service. @param minutes - after these there are no more cuts */
export async function cutRounds(
  service: RunningService,
  owner: string,
  databaseUrl: string,
  cuts: number,
  kills: number,
  minutes: number,
  onCut: (done: number, hits: number) => void,
): Promise<CutResult> {
  const random = new Random(SEEDS.hits);
  const way = new CuttableWay(
    () => service.address,
    () => (random.chance(SELF_CUT.share) ? 1 + random.below(SELF_CUT.bytes) : undefined),
  );
  const stream = new OwnerStream(await way.open(), owner, random);
  const database = new pg.Client({ connectionString: databaseUrl });
  await database.connect();
  const searches = new Searches(service);
  const end = performance.now() + minutes * 60_000;
  const done = { stream: 0, database: 0, service: 0 };
  try {
    for (const [i, victim] of victimsOf(cuts, kills, random).entries()) {
      if (performance.now() > end) break;
      await searches.moreAnswers(random.below(BETWEEN.answers), ANSWERS_MS);
      await delay(BETWEEN.ms * random.uniform());
      if (victim === 'stream') way.cut();
      else if (victim === 'service') await service.killAndStart();
      else await cutDatabase(database);
      done[victim]++;
      onCut(i + 1, stream.arrivals.length);
    }
    await searches.stop();
    const kept = await keptHits(database, searches.answered.size);
    await stream.caughtUp(kept.at(-1)?.position ?? 0, LAST_MS);
    const { answered, unanswered, begun } = searches;
    const counts = { searches: begun, answered: answered.size, unanswered };
    return { cuts: done, streams: stream.opened, ...counts, ...judge(stream.arrivals, kept, answered) };
  } finally {
    await searches.stop();
    await stream.stop();
    way.close();
    await database.end();
  }
}

/** Callers that search one after the other until they are stopped. */
class Searches {
  readonly answered = new Set<string>();
  unanswered = 0;
  begun = 0;
  #isEnding = false;
  readonly #callers: Promise<unknown>;

  constructor(service: RunningService) {
    this.#callers = Promise.all(Array.from({ length: CALLERS }, () => this.#search(service)));
  }

  /** Waits for so many more answers, at most `maxMs`. */
  async moreAnswers(count: number, maxMs: number): Promise<void> {
    const least = this.answered.size + count;
    for (const end = performance.now() + maxMs; this.answered.size < least && performance.now() < end;)
      await delay(PAUSE_MS / 10);
  }

  async stop(): Promise<void> {
    this.#isEnding = true;
    await this.#callers;
  }

  async #search(service: RunningService): Promise<void> {
    while (!this.#isEnding) {
      const number = this.begun++;
      const requestId = `cut-${number}`;
      try {
        if (await service.search(number, requestId)) this.answered.add(requestId);
      } catch {
        this.unanswered++;
        await delay(PAUSE_MS);
      }
    }
  }
}

/** Kills at random places among cuts of the other two kinds, as many of each. */
function victimsOf(cuts: number, kills: number, random: Random): Victim[] {
  const victims = Array.from({ length: cuts }, (_, i): Victim => {
    if (i < kills) return 'service';
    return i % 2 === 0 ? 'stream' : 'database';
  });
  for (let i = victims.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [victims[i], victims[j]] = [victims[j], victims[i]];
  }
  return victims;
}

/** Ends every connection but this one. */
async function cutDatabase(database: pg.Client): Promise<void> {
  await database.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
  );
}

/** The owner's hits, in order, once there are as many as answered searches: the last may be in the audit's spool. */
async function keptHits(database: pg.Client, answered: number): Promise<KeptHit[]> {
  const sql = 'SELECT seq, hit_id FROM hit WHERE agency = $1 ORDER BY seq';
  for (const end = performance.now() + LAST_MS; ; await delay(PAUSE_MS)) {
    const { rows } = await database.query<{ seq: string; hit_id: string }>(sql, [benchData().contributor]);
    if (rows.length >= answered || performance.now() > end)
      return rows.map(({ seq, hit_id }) => ({ position: Number(seq), hitId: hit_id }));
  }
}
