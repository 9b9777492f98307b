/** A gallery whose records change at random, beside a plain list of them. */
import { ActiveGallery } from '../../src/gallery/active-gallery.ts';
import { attributesOf } from '../../src/gallery/stored-records.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import type { Random } from '../../src/random.ts';
import { UNLIMITED, type RecordLife } from '../../src/store/records.ts';
import { RECORDS_OF_A_PERSON, type SoughtPerson } from './people.ts';
import type { PlainRecord } from './plain-records.ts';

/** References of a segment: few, so that there are several, and compactions. */
const SEGMENT_REFERENCES = 16;
/** Times are whole numbers up to this: changes and the clock meet them exactly. */
const LATEST = 20;
const CONTRIBUTORS = ['a', 'b'] as const;
export const GALLERIES = ['x', 'y'] as const;
const PROVENANCES = ['controlled', 'field', 'latent'] as const;

export class World {
  now = 0;
  readonly served = new ActiveGallery(gallerySizing(SEGMENT_REFERENCES), () => this.now);
  /** By subject id. */
  readonly records = new Map<string, PlainRecord>();
  readonly #people: readonly SoughtPerson[];
  readonly #random: Random;

  constructor(people: readonly SoughtPerson[], random: Random) {
    this.#people = people;
    this.#random = random;
  }

  /** Enrols every record, without limits. */
  fill(): void {
    for (let person = 0; person < this.#people.length; person++)
      for (let record = 0; record < RECORDS_OF_A_PERSON; record++) this.#put(this.#plain(person, record, UNLIMITED));
  }

  /** One change of a record, or of the clock. */
  change(): void {
    const random = this.#random;
    if (random.chance(0.2)) return this.moveClock();
    const [person, record] = [random.below(this.#people.length), random.below(RECORDS_OF_A_PERSON)];
    const known = this.records.get(idOf(person, record));
    if (known === undefined) return this.#put(this.#plain(person, record, this.#anyLife()));
    if (random.chance(0.05)) return this.#expunge(known.subjectId);
    this.#put({ ...known, ...this.#anyChange() });
  }

  moveClock(): void {
    this.now = this.#random.below(LATEST + 1);
  }

  #anyChange(): Partial<PlainRecord> {
    const changes: readonly (() => Partial<PlainRecord>)[] = [
      () => ({ expireTime: this.#anyTime() }),
      () => ({ reviewTime: this.#anyTime() }),
      () => ({ suspended: this.#random.chance(0.3) }),
      () => ({ minorUntil: this.#anyTime() }),
      () => ({ galleries: this.#anyGalleries() }),
      () => ({ contributor: this.#anyOf(CONTRIBUTORS) }),
      () => ({ provenance: this.#anyOf(PROVENANCES) }),
      () => ({ ...UNLIMITED }),
      () => this.#anyLife(),
    ];
    return this.#anyOf(changes)();
  }

  #anyLife(): RecordLife {
    const [expireTime, reviewTime, minorUntil] = [this.#anyTime(), this.#anyTime(), this.#anyTime()];
    return { ...UNLIMITED, expireTime, reviewTime, minorUntil, suspended: this.#random.chance(0.1) };
  }

  #plain(person: number, record: number, life: RecordLife): PlainRecord {
    const [contributor, provenance] = [this.#anyOf(CONTRIBUTORS), this.#anyOf(PROVENANCES)];
    return {
      subjectId: idOf(person, record),
      person,
      contributor,
      provenance,
      galleries: this.#anyGalleries(),
      ...life,
    };
  }

  #anyTime(): Date | undefined {
    return this.#random.chance(0.6) ? undefined : new Date(this.#random.below(LATEST + 1));
  }

  #anyGalleries(): string[] {
    const some = GALLERIES.filter(() => this.#random.chance(0.6));
    return some.length === 0 ? [GALLERIES[0]] : some;
  }

  #anyOf<T>(all: readonly T[]): T {
    return all[this.#random.below(all.length)];
  }

  /** As a row of the store becomes a subject in memory. */
  #put(plain: PlainRecord): void {
    const { subjectId, person, ...data } = plain;
    const gallery = this.served.current;
    const version = gallery.version + 1;
    const times = { createTime: new Date(0), updateTime: new Date(0) };
    const subject = { ...data, ...times, subjectId, version, externalId: undefined, caveats: [] };
    const attributes = attributesOf({ subject, references: [] });
    const isKnown = this.records.has(subjectId);
    const references = this.#people[person].references[Number(subjectId.split('-')[1])];
    gallery.apply(version, {
      kind: 'upsert',
      subjectId,
      attributes,
      references: references.map((one) => (isKnown ? { ...one, packed: undefined } : one)),
    });
    this.records.set(subjectId, plain);
  }

  #expunge(subjectId: string): void {
    const gallery = this.served.current;
    gallery.apply(gallery.version + 1, { kind: 'expunge', subjectId });
    this.records.delete(subjectId);
  }
}

export function idOf(person: number, record: number): string {
  return `p${person}-${record}`;
}
