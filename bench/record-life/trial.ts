/** Changes and searches by turns; every answer is compared with the plain list of records. */
import { ClassMask } from '../../src/gallery/class-mask.ts';
import type { Scope } from '../../src/gallery/scope.ts';
import type { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { Random } from '../../src/random.ts';
import { KINDS, RECORDS_OF_A_PERSON, soughtPerson, type Kind, type SoughtPerson } from './people.ts';
import { HIDINGS, hidingOf, type Hiding, type PlainCaller } from './plain-records.ts';
import { waysOf, type Found, type Search, type Way } from './ways.ts';
import { GALLERIES, idOf, World } from './world.ts';

const CALLERS: readonly PlainCaller[] = [
  { name: 'all', mayRead: () => true, mayReadMinors: () => true },
  { name: 'adults', mayRead: () => true, mayReadMinors: () => false },
  { name: 'agency', mayRead: ({ contributor }) => contributor === 'a', mayReadMinors: () => false },
  {
    name: 'examiner',
    mayRead: ({ provenance }) => provenance !== 'latent',
    mayReadMinors: ({ contributor, provenance }) => provenance !== 'latent' && contributor === 'a',
  },
  {
    name: 'children',
    mayRead: ({ provenance }) => provenance === 'latent',
    mayReadMinors: ({ contributor }) => contributor === 'a',
  },
];
/** Share of searches among the operations. */
const SEARCHES = 0.25;

/** What searches of one way did. */
export interface Tally {
  searches: number;
  /** Records found that may not be, and records missing that may be found. */
  violations: number;
  /** Searches whose best match was a record that may not be found: these could have failed. */
  hidden: Record<Hiding, number>;
  /** Searches whose best match was a record that had to be found. */
  shown: number;
}

export class Trial {
  readonly tallies: Record<string, Tally> = {};
  /** The first violations, in words. */
  readonly violations: string[] = [];
  operations = 0;
  readonly #world: World;
  readonly #people: readonly SoughtPerson[];
  readonly #random: Random;
  readonly #ways: readonly (readonly [string, Way])[];
  readonly #scopes: readonly { readonly caller: PlainCaller; readonly rules: Omit<Scope, 'galleries'> }[];
  /** The record of a person that its probe is most similar to, by person and kind. */
  readonly #bestOf = new Map<string, string>();

  readonly close: () => Promise<void>;

  private constructor(world: World, people: readonly SoughtPerson[], pool: WorkerPool, random: Random) {
    this.#world = world;
    this.#people = people;
    this.#random = random;
    const { ways, close } = waysOf(world, pool);
    this.close = close;
    this.#ways = Object.entries(ways);
    for (const [name] of this.#ways) {
      const hidden = Object.fromEntries(HIDINGS.map((hiding) => [hiding, 0])) as Record<Hiding, number>;
      this.tallies[name] = { searches: 0, violations: 0, hidden, shown: 0 };
    }
    this.#scopes = CALLERS.map((caller) => ({ caller, rules: rulesOf(world, caller) }));
  }

  static async prepare(pool: WorkerPool, people: number, seed: number): Promise<Trial> {
    const sought: SoughtPerson[] = [];
    for (let person = 0; person < people; person++) sought.push(await soughtPerson(pool, seed, person));
    const random = new Random(seed);
    const world = new World(sought, random);
    world.fill();
    const trial = new Trial(world, sought, pool, random);
    await trial.#findBest();
    return trial;
  }

  /** @param operations - changes and searches together */
  async run(operations: number): Promise<void> {
    for (let done = 0; done < operations; done++) {
      this.operations++;
      if (this.#random.chance(SEARCHES)) await this.#search();
      else this.#world.change();
    }
  }

  async #findBest(): Promise<void> {
    const [, exact] = this.#ways[0];
    for (let person = 0; person < this.#people.length; person++) {
      for (const kind of KINDS) {
        const scope: Scope = { galleries: new Set(), classes: undefined, minors: 'all' };
        const { subjectIds } = await exact.find({ person, sought: this.#people[person], kind, scope });
        const own = subjectIds.find((id) => id.startsWith(`p${person}-`));
        if (own === undefined || own !== subjectIds[0]) throw new Error(`person ${person} is not found by its ${kind}`);
        this.#bestOf.set(`${person} ${kind}`, own);
      }
    }
  }

  async #search(): Promise<void> {
    const [name, way] = this.#ways[this.#random.below(this.#ways.length)];
    const { caller, rules } = this.#scopes[this.#random.below(this.#scopes.length)];
    const person = this.#random.below(this.#people.length);
    const kind = KINDS[this.#random.below(KINDS.length)];
    const galleries = this.#random.chance(0.7) ? [] : GALLERIES.filter(() => this.#random.chance(0.5));
    const search = { person, sought: this.#people[person], kind, scope: { galleries: new Set(galleries), ...rules } };
    const instantMs = this.#world.now;
    const answer = way.find(search);
    // What began before the clock was changed keeps to its instant.
    if (way.isAtOnce && this.#random.chance(0.3)) this.#world.moveClock();
    const found = await answer;
    this.#check(name, found, search, caller, galleries, kind, instantMs);
  }

  #check(
    name: string,
    found: Found,
    { person }: Search,
    caller: PlainCaller,
    galleries: readonly string[],
    kind: Kind,
    instantMs: number,
  ): void {
    const { records } = this.#world;
    const tally = this.tallies[name];
    tally.searches++;
    const hidingOfId = (id: string) => {
      const record = records.get(id);
      return record === undefined ? 'expunged' : hidingOf(record, caller, galleries, instantMs);
    };
    const violate = (what: string) => {
      tally.violations++;
      if (this.violations.length < 20) this.violations.push(`${name}, ${kind}, caller ${caller.name}: ${what}`);
    };
    for (const id of found.subjectIds) {
      const hiding = hidingOfId(id);
      if (hiding !== undefined) violate(`${id} was found and is ${hiding}`);
    }
    const inScope = [...records.keys()].filter((id) => hidingOfId(id) === undefined).length;
    for (const count of [found.searched, found.read])
      if (count !== undefined && count !== inScope) violate(`${count} records were searched, and not ${inScope}`);
    const own = Array.from({ length: RECORDS_OF_A_PERSON }, (_, record) => idOf(person, record));
    const isSelfGone = found.self !== undefined && hidingOfId(found.self) !== undefined;
    if (found.self !== undefined && !isSelfGone && !found.subjectIds.includes(found.self))
      violate(`${found.self} was not found`);
    if (found.isComplete && !isSelfGone)
      for (const id of own)
        if (records.has(id) && hidingOfId(id) === undefined && !found.subjectIds.includes(id))
          violate(`${id} was not found`);
    const best = found.self ?? this.#bestOf.get(`${person} ${kind}`) ?? '';
    const hiding = hidingOfId(best);
    if (hiding === undefined) tally.shown++;
    else if (hiding !== 'expunged') tally.hidden[hiding]++;
  }
}

function rulesOf({ served }: World, caller: PlainCaller): Omit<Scope, 'galleries'> {
  if (caller.name === 'all') return { classes: undefined, minors: 'all' };
  if (caller.name === 'adults') return { classes: undefined };
  type Decided = Parameters<PlainCaller['mayRead']>[0];
  const maskBy = (decide: (record: Decided) => boolean) =>
    new ClassMask(served.classes, (recordClass) => decide(recordClass as unknown as Decided));
  const ofAge = maskBy((record) => caller.mayRead(record));
  const minors = maskBy((record) => caller.mayReadMinors(record));
  if (caller.name !== 'children') return { classes: ofAge, minors };
  return { classes: maskBy((record) => caller.mayRead(record) || caller.mayReadMinors(record)), ofAge, minors };
}
