/** Compaction while the gallery changes and searches read it, compared with a plain map. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referencesAt, type SubjectAttributes, type SubjectEntry } from '../../src/gallery/catalogue.ts';
import { Gallery } from '../../src/gallery/gallery.ts';
import type { SearchTicket } from '../../src/gallery/reclamation.ts';
import { Compactor } from '../../src/gallery/compactor.ts';
import type { Compaction } from '../../src/gallery/compaction.ts';
import { layoutSegment } from '../../src/gallery/segment-layout.ts';
import { placesOf, type Segment } from '../../src/gallery/segment.ts';
import { subjectAttributes } from '../subject-attributes.ts';

const RECORD_BYTES = 32;
const SIZING = { capacity: 4, maxRecordBytes: RECORD_BYTES, scratchBytes: 256, vectorBytes: 16 };
const PARTITION = { modality: 'finger', position: 1 } as const;
const ATTRIBUTES: SubjectAttributes = subjectAttributes();

/** Every memory ever made, whatever holds it now. */
const memories: WebAssembly.Memory[] = [];
const RealMemory = WebAssembly.Memory;
beforeAll(() => {
  WebAssembly.Memory = class extends RealMemory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      super(descriptor);
      memories.push(this);
    }
  };
});
afterAll(() => void (WebAssembly.Memory = RealMemory));

/** The bytes of a reference: a unique word, repeated. */
function packedOf(word: bigint): Uint8Array {
  return new Uint8Array(new BigUint64Array((RECORD_BYTES + SIZING.vectorBytes) / 8).fill(word).buffer);
}

function unexpected(error: unknown): never {
  throw error;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function emptyGallery(): Gallery {
  return new Gallery({ finger: SIZING, face: () => SIZING });
}

/** A gallery with the words of every reference, beside a plain map of them. */
class Twin {
  readonly gallery = emptyGallery();
  /** Subjects, their references, and the word of each. */
  readonly model = new Map<string, Map<string, bigint>>();
  readonly searches: Search[] = [];
  /** Words of expunged references. */
  readonly expunged = new Set<bigint>();
  #words = 0n;

  upsert(subjectId: string, names: readonly number[]): void {
    const before = this.model.get(subjectId);
    const after = new Map(
      names.map((name) => {
        const referenceId = `${subjectId}-${name}`;
        return [referenceId, before?.get(referenceId) ?? 0x9e37_79b9_7f4a_7c15n + this.#words++];
      }),
    );
    const references = [...after].map(([referenceId, word]) => ({
      referenceId,
      partition: PARTITION,
      packed: before?.has(referenceId) === true ? undefined : packedOf(word),
    }));
    const sequence = this.gallery.version + 1;
    this.gallery.apply(sequence, { kind: 'upsert', subjectId, attributes: ATTRIBUTES, references });
    this.model.set(subjectId, after);
  }

  expunge(subjectId: string): void {
    // Including references of the subject that only a running search still read.
    const entry = this.gallery.subject(subjectId);
    for (const { seen } of this.searches) {
      const known = entry && seen.get(entry);
      known?.forEach((word) => this.expunged.add(word));
    }
    this.model.get(subjectId)?.forEach((word) => this.expunged.add(word));
    this.gallery.apply(this.gallery.version + 1, { kind: 'expunge', subjectId });
    this.model.delete(subjectId);
  }

  begin(): void {
    const ticket = this.gallery.beginSearch(0);
    const ranges = this.gallery.partition(PARTITION)?.ranges() ?? [];
    const ends = new Map(ranges.map(({ segment, end }) => [segment, end]));
    const seen = new Map(
      [...this.model].map(([id, references]) => [this.gallery.subject(id) as SubjectEntry, new Map(references)]),
    );
    this.searches.push({ ticket, ends, seen });
  }

  end(which: number): void {
    const [search] = this.searches.splice(which % this.searches.length, 1);
    this.gallery.endSearch(search.ticket);
  }

  check(): void {
    this.begin();
    for (const search of this.searches) this.#check(search);
    this.end(this.searches.length - 1);
    const live = [...this.model.values()].reduce((sum, { size }) => sum + size, 0);
    expect(this.gallery.partitions.reduce((sum, { liveCount }) => sum + liveCount, 0)).toBe(live);
  }

  #check({ ticket, ends, seen }: Search): void {
    for (const [entry, references] of seen) {
      if (this.gallery.subject(entry.subjectId) !== entry) continue;
      const found = referencesAt(entry, ticket.version).flatMap((location) => {
        const place = placesOf(location).find(({ segment, index }) => index < (ends.get(segment) ?? 0));
        return place === undefined ? [] : [[location.referenceId, wordAt(place.segment, place.index)] as const];
      });
      expect(new Map(found)).toEqual(references);
      expect(found).toHaveLength(references.size);
    }
    const words = [...ends].flatMap(([segment, end]) =>
      Array.from({ length: end }, (_, index) => wordAt(segment, index)).filter((word) => word !== undefined),
    );
    expect(new Set(words).size).toBe(words.length);
    expect(words.filter((word) => this.expunged.has(word))).toEqual([]);
  }
}

interface Search {
  readonly ticket: SearchTicket;
  readonly ends: ReadonlyMap<Segment, number>;
  readonly seen: ReadonlyMap<SubjectEntry, ReadonlyMap<string, bigint>>;
}

/** The word that fills a record and its vector; undefined: it was removed. */
function wordAt(segment: Segment, index: number): bigint | undefined {
  const address = segment.addressOf(index);
  if (address === 0) return undefined;
  const { memory, layout } = segment.handle;
  const words = [
    ...new BigUint64Array(memory.buffer, address, RECORD_BYTES / 8),
    ...new BigUint64Array(memory.buffer, layout.vectorsAddress + index * layout.vectorBytes, 2),
  ];
  expect(new Set(words).size).toBe(1);
  return words[0];
}

/** Number of occurrences of a word in each memory that contains it. */
function occurrences(word: bigint): number[] {
  const { scratchAddress } = layoutSegment(SIZING.capacity, SIZING.scratchBytes, SIZING.vectorBytes);
  return memories
    .map(({ buffer }) => new BigUint64Array(buffer, scratchAddress).filter((found) => found === word).length)
    .filter((count) => count > 0);
}

/** Runs compactions step by step, one after the other. */
class StepByStep {
  readonly #gallery: Gallery;
  #compaction: Compaction | undefined;
  #steps: Generator<void> | undefined;
  #stage: 'copy' | 'wait' | 'finish' = 'copy';
  compactions = 0;

  constructor(gallery: Gallery) {
    this.#gallery = gallery;
  }

  /** @returns whether there was anything to compact */
  async step(): Promise<boolean> {
    // Actions deferred until searches end run in a microtask.
    await Promise.resolve();
    if (this.#compaction === undefined) {
      this.#compaction = this.#gallery.beginCompaction();
      this.#steps = this.#compaction?.copy();
      this.#stage = 'copy';
      return this.#compaction !== undefined;
    }
    if (this.#stage === 'wait' || this.#steps?.next().done !== true) return true;
    if (this.#stage === 'copy') {
      this.#stage = 'wait';
      this.#compaction.switch();
      const finish = this.#compaction.finish();
      void this.#gallery.presentSearchesEnded().then(() => {
        this.#stage = 'finish';
        this.#steps = finish;
      });
    } else {
      this.#compaction = undefined;
      this.compactions++;
    }
    return true;
  }

  abandon(): void {
    if (this.#compaction === undefined || this.#stage !== 'copy') return;
    for (const steps = this.#compaction.abandon(); steps.next().done !== true;);
    this.#compaction = undefined;
  }
}

const subject = fc.integer({ min: 0, max: 6 }).map((number) => `s${number}`);
const command = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(fc.constant('upsert'), subject, fc.subarray([0, 1, 2, 3])) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('expunge'), subject) },
  { weight: 6, arbitrary: fc.tuple(fc.constant('rewrite'), fc.integer({ min: 1, max: 9 })) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('begin')) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('end'), fc.nat(9)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('abandon')) },
);
type Command = readonly [string, ...unknown[]];

describe('compaction', () => {
  it('loses no subject, restores none and leaves no byte of expunged ones, under any concurrent changes', async () => {
    let compactions = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 20, maxLength: 80 }), async (commands) => {
        memories.length = 0;
        const twin = new Twin();
        const steps = new StepByStep(twin.gallery);
        for (const [kind, first, second] of commands as readonly Command[]) {
          if (kind === 'upsert') twin.upsert(first as string, second as number[]);
          else if (kind === 'expunge') twin.expunge(first as string);
          else if (kind === 'begin') twin.begin();
          else if (kind === 'end') {
            if (twin.searches.length > 0) twin.end(first as number);
          } else if (kind === 'abandon') steps.abandon();
          else for (let left = first as number; left > 0; left--) await steps.step();
          twin.check();
        }
        while (twin.searches.length > 0) twin.end(0);
        while (await steps.step());
        twin.check();
        for (const word of twin.expunged) expect(occurrences(word)).toEqual([]);
        for (const references of twin.model.values()) {
          for (const word of references.values()) expect(occurrences(word)).toEqual([RECORD_BYTES / 8 + 2]);
        }
        for (const partition of twin.gallery.partitions) {
          expect(partition.removedCount).toBeLessThanOrEqual(partition.liveCount / 3);
        }
        compactions += steps.compactions;
      }),
      { numRuns: 100 },
    );
    expect(compactions).toBeGreaterThan(100);
  });

  it('makes one segment of several sparse ones, and of small ones that fit', async () => {
    const twin = new Twin();
    for (let i = 0; i < 16; i++) twin.upsert(`s${i}`, [0]);
    const [partition] = twin.gallery.partitions;
    const referenceBytes = RECORD_BYTES + SIZING.vectorBytes + 8;
    expect(partition.usedBytes).toBe(16 * referenceBytes);
    for (let i = 0; i < 12; i++) if (i % 4 > 0) twin.expunge(`s${i}`);
    expect([partition.segmentCount, partition.liveCount, partition.removedCount]).toEqual([4, 7, 9]);
    // Removed references occupy their space until compaction.
    expect(partition.usedBytes).toBe(16 * referenceBytes);
    const compactor = new Compactor({ current: twin.gallery }, unexpected);
    await compactor.run();
    expect(compactor.compactions).toBe(1);
    expect([partition.segmentCount, partition.liveCount, partition.removedCount]).toEqual([2, 7, 0]);
    expect(partition.usedBytes).toBe(7 * referenceBytes);
    twin.check();
    // One more fits; after it another segment is opened.
    twin.upsert('x', [0]);
    expect(partition.segmentCount).toBe(2);
    twin.upsert('y', [0]);
    expect(partition.segmentCount).toBe(3);
  });

  it('drops a segment without live references', async () => {
    const twin = new Twin();
    for (let i = 0; i < 4; i++) twin.upsert(`s${i}`, [0]);
    for (let i = 0; i < 4; i++) twin.expunge(`s${i}`);
    await new Compactor({ current: twin.gallery }, unexpected).run();
    const [partition] = twin.gallery.partitions;
    expect([partition.segmentCount, partition.usedBytes]).toEqual([0, 0]);
  });

  it('does not rewrite a segment that lost few references', async () => {
    const twin = new Twin();
    for (let i = 0; i < 4; i++) twin.upsert(`s${i}`, [0]);
    twin.expunge('s1');
    const compactor = new Compactor({ current: twin.gallery }, unexpected);
    await compactor.run();
    expect(compactor.compactions).toBe(0);
    expect(twin.gallery.partitions[0].removedCount).toBe(1);
  });

  it('keeps the old segments until the searches that read them have ended', async () => {
    const twin = new Twin();
    for (let i = 0; i < 4; i++) twin.upsert(`s${i}`, [0]);
    twin.begin();
    const [{ segment }] = twin.gallery.partitions[0].ranges();
    for (const id of ['s0', 's1']) twin.expunge(id);
    const compactor = new Compactor({ current: twin.gallery }, unexpected, 0);
    const run = compactor.run();
    while (compactor.compactions === 0) await turn();
    // More turns of the event loop than wiping takes.
    for (let i = 0; i < 50; i++) await turn();
    expect(twin.gallery.partitions[0].ranges().map(({ end }) => end)).toEqual([2]);
    expect([2, 3].map((index) => wordAt(segment, index))).toEqual(
      [...twin.model.values()].flatMap((r) => [...r.values()]),
    );
    twin.expunge('s2');
    expect(segment.addressOf(2)).toBe(0);
    twin.check();
    twin.end(0);
    await run;
    expect(segment.addressOf(3)).toBe(0);
    twin.check();
  });

  it('keeps the old segments when there is no memory, reports it, and does not retry at once', async () => {
    const twin = new Twin();
    for (let i = 0; i < 4; i++) twin.upsert(`s${i}`, [0]);
    for (const id of ['s0', 's1']) twin.expunge(id);
    const errors: unknown[] = [];
    const compactor = new Compactor({ current: twin.gallery }, (error) => errors.push(error));
    const Counting = WebAssembly.Memory;
    WebAssembly.Memory = class extends RealMemory {
      constructor() {
        super({ initial: 65_537 });
      }
    };
    try {
      await compactor.run();
      await compactor.run();
    } finally {
      WebAssembly.Memory = Counting;
    }
    expect(errors).toEqual([expect.any(RangeError)]);
    expect(twin.gallery.partitions[0].removedCount).toBe(2);
    twin.check();
    // The segment also stays open to new references, up to its capacity.
    twin.upsert('x', [0]);
    twin.check();
    await new Compactor({ current: twin.gallery }, unexpected).run();
    expect(twin.gallery.partitions[0].removedCount).toBe(0);
    twin.check();
  });

  it('abandons the copy when it is stopped', async () => {
    memories.length = 0;
    const twin = new Twin();
    for (let i = 0; i < 4; i++) twin.upsert(`s${i}`, [0]);
    for (const id of ['s0', 's1']) twin.expunge(id);
    const compactor = new Compactor({ current: twin.gallery }, unexpected, 0);
    const run = compactor.run();
    await turn();
    await compactor.stop();
    await run;
    expect(compactor.compactions).toBe(0);
    twin.check();
    for (const word of [...twin.model.values()].flatMap((references) => [...references.values()])) {
      expect(occurrences(word)).toEqual([RECORD_BYTES / 8 + 2]);
    }
  });
});
