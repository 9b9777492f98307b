import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ReferenceLocation } from '../../src/gallery/catalogue.ts';
import type { Gallery } from '../../src/gallery/gallery.ts';
import { GraphChanges } from '../../src/matching/graph/graph-changes.ts';
import { GraphReferences, type GraphBatch } from '../../src/matching/graph/graph-references.ts';
import { DIMENSION, dropReferences, enrol, expunge, faceOf, galleryOf, PARTITION } from './vector-people.ts';

/** What a graph would hold, by label. */
class Model {
  readonly vectors = new Map<number, string>();
  readonly used = new Set<number>();

  add({ vectors, labels }: GraphBatch, done: number): void {
    for (let i = 0; i < done; i++) {
      expect(this.used.has(labels[i])).toBe(false);
      this.used.add(labels[i]);
      this.vectors.set(labels[i], String(vectors.subarray(i * DIMENSION, (i + 1) * DIMENSION)));
    }
  }

  remove(labels: Uint32Array, done: number): void {
    for (const label of labels.subarray(0, done)) expect(this.vectors.delete(label)).toBe(true);
  }
}

function following(gallery: Gallery): GraphReferences {
  const references = new GraphReferences(gallery, PARTITION, DIMENSION);
  gallery.observe(
    new GraphChanges(gallery, {
      enter: (subject, location) => references.enter(subject, location),
      leave: (location: ReferenceLocation) => references.leave(location),
    }),
  );
  return references;
}

it('has each live reference once, and orders the removal of every other vector', async () => {
  const person = fc.integer({ min: 0, max: 11 });
  const change = fc.oneof(
    fc.record({
      kind: fc.constantFrom('enrol' as const, 'drop' as const, 'expunge' as const),
      person,
      capture: fc.nat(3),
    }),
    fc.record({ kind: fc.constantFrom('read', 'ask', 'turn', 'search', 'end') }),
    fc.record({ kind: fc.constantFrom('add', 'remove'), done: fc.integer({ min: 1, max: 4 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 5, maxLength: 80 }), async (changes) => {
      const gallery = galleryOf(4, 16);
      const references = following(gallery);
      const model = new Model();
      const captures = new Map(Array.from({ length: 4 }, (_, i) => [i, 0]));
      const tickets: ReturnType<Gallery['beginSearch']>[] = [];
      let batch: GraphBatch | undefined;
      const add = (most: number) => {
        if (batch === undefined) return;
        const done = Math.min(most, batch.labels.length);
        model.add(batch, done);
        references.added(batch, done);
        batch = undefined;
      };
      const remove = (most: number) => {
        const labels = references.nextRemovals(4);
        const done = Math.min(most, labels.length);
        model.remove(labels, done);
        references.removed(done);
      };
      for (const step of changes) {
        if ('done' in step) (step.kind === 'add' ? add : remove)(step.done);
        else if ('person' in step) {
          if (step.kind === 'enrol') {
            captures.set(step.person, step.capture);
            enrol(gallery, step.person, step.capture);
          } else if (step.kind === 'expunge') {
            if (gallery.subject(`p${step.person}`) !== undefined) expunge(gallery, step.person);
            captures.delete(step.person);
          } else if (gallery.subject(`p${step.person}`) !== undefined) {
            captures.delete(step.person);
            dropReferences(gallery, step.person);
          }
        } else if (step.kind === 'read') references.read();
        else if (step.kind === 'ask') batch ??= references.nextBatch(4);
        else if (step.kind === 'turn') await new Promise(setImmediate);
        else if (step.kind === 'search') tickets.push(gallery.beginSearch());
        else tickets.splice(0, 1).forEach((ticket) => gallery.endSearch(ticket));
      }
      for (const ticket of tickets) gallery.endSearch(ticket);
      await new Promise(setImmediate);
      add(4);
      while (!references.isRead) references.read();
      while ((batch = references.nextBatch(4)) !== undefined) add(4);
      while (references.removalCount > 0) remove(4);
      const wanted = Array.from(captures, ([id, capture]) => String(faceOf(id, capture).values)).sort();
      expect([...model.vectors.values()].sort()).toEqual(wanted);
      expect(references.count).toBe(wanted.length);
      expect(references.pendingCount).toBe(0);
      const named = references.withLabels(Uint32Array.from(model.vectors.keys()));
      expect(named.map(({ subject }) => subject.subjectId).sort()).toEqual(
        [...captures.keys()].map((id) => `p${id}`).sort(),
      );
    }),
    { numRuns: 300 },
  );
});

it('orders the removal of all vectors of an expunged subject at once, though a search reads the old ones', async () => {
  const gallery = galleryOf(2, 16);
  const references = following(gallery);
  const addAll = () => {
    while (!references.isRead) references.read();
    const batch = references.nextBatch(4);
    if (batch !== undefined) references.added(batch, batch.labels.length);
  };
  addAll();
  const ticket = gallery.beginSearch();
  enrol(gallery, 1, 1);
  addAll();
  expect([references.count, references.removalCount]).toEqual([3, 0]);
  expunge(gallery, 1);
  await Promise.resolve();
  expect([references.count, references.removalCount]).toEqual([1, 2]);
  gallery.endSearch(ticket);
  await new Promise(setImmediate);
  expect([references.count, references.removalCount]).toEqual([1, 2]);
});
