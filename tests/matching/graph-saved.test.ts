import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ActiveGallery } from '../../src/gallery/active-gallery.ts';
import { Compactor } from '../../src/gallery/compactor.ts';
import type { Gallery } from '../../src/gallery/gallery.ts';
import type { CandidateGraphs } from '../../src/matching/graph/candidate-graphs.ts';
import { GraphThread } from '../../src/matching/graph/graph-thread.ts';
import { openMemoryFile, pathOfFile } from '../../src/files/memory-file.ts';
import type { OpenedGraph, SavedGraph } from '../../src/matching/graph/saved-graph.ts';
import { VectorGraph } from '../../src/matching/graph/vector-graph.ts';
import { learnPrincipalDirections } from '../../src/matching/kernels/principal-directions.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import { subjectAttributes } from '../subject-attributes.ts';
import {
  DIMENSION,
  enrol,
  expunge,
  faceOf,
  galleryOf,
  graphsFor,
  nearestNow,
  PARTITION,
  probeOf,
} from './vector-people.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const used: CandidateGraphs[] = [];
afterEach(async () => {
  await Promise.all(used.splice(0).map((graphs) => graphs.stop()));
});

function graphsOf(...parameters: Parameters<typeof graphsFor>): CandidateGraphs {
  const graphs = graphsFor(...parameters);
  used.push(graphs);
  return graphs;
}

const ids = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `p${from + i}`).sort();

describe('a saved graph', () => {
  async function saveGraph(gallery: Gallery, people: number, reference = 0): Promise<SavedGraph & OpenedGraph> {
    const rows = new Int8Array(people * DIMENSION);
    for (let person = 0; person < people; person++) rows.set(faceOf(person).values, person * DIMENSION);
    const directions = learnPrincipalDirections(rows, DIMENSION, DIMENSION);
    const graph = new VectorGraph(directions);
    for (let person = 0; person < people; person++) graph.add(faceOf(person).values, person);
    const file = await openMemoryFile(10_000_000);
    graph.save(pathOfFile(file));
    const locations = Array.from({ length: people }, (_, person) => {
      const subject = gallery.subject(`p${person}`);
      if (subject === undefined) throw new Error('a person is missing');
      return subject.references[reference];
    });
    return { file, directions, locations, open: () => Promise.resolve({ file, directions }) };
  }
  const tasks = () => vi.spyOn(GraphThread.prototype, 'change');

  it('is adopted with its gallery, and keeps up with what changed since', async () => {
    const served = new ActiveGallery(gallerySizing(256));
    const graphs = graphsOf(served, { maxPending: 16 }, undefined, () => false);
    await graphs.run();
    const next = served.makeEmpty();
    for (let person = 0; person < 300; person++) enrol(next, person);
    graphs.adopt(next, PARTITION, await saveGraph(next, 300));
    expunge(next, 3);
    enrol(next, 4, 1);
    enrol(next, 300);
    void served.replace(next);
    const sent = tasks();
    await graphs.run();
    const kinds = new Set(sent.mock.calls.map(([{ kind }]) => kind));
    sent.mockRestore();
    expect(kinds).toEqual(new Set(['add', 'load', 'remove']));
    expect(graphs.figures).toMatchObject([{ references: 300, pending: 0, removals: 0, state: 'ready' }]);
    expect(await nearestNow(graphs, next, probeOf(4, 1), 10)).toContain('p4');
    expect(await nearestNow(graphs, next, probeOf(9), 400)).toEqual(ids(0, 301).filter((id) => id !== 'p3'));
  });

  it('is not taken for outgrown while its references are taken over', async () => {
    const served = new ActiveGallery(gallerySizing(256));
    for (let person = 0; person < 300; person++) enrol(served.current, person);
    const graphs = graphsOf(served, { maxPending: 16 });
    graphs.adopt(served.current, PARTITION, await saveGraph(served.current, 300));
    const sent = tasks();
    let isReady = false;
    const caughtUp = graphs.run().then(() => (isReady = true));
    while (!isReady) {
      void graphs.run();
      await setImmediate();
    }
    await caughtUp;
    const kinds = sent.mock.calls.map(([{ kind }]) => kind);
    sent.mockRestore();
    expect(kinds).toEqual(['load']);
    expect(graphs.figures).toMatchObject([{ references: 300, state: 'ready' }]);
  });

  it('keeps no memory of segments that were compacted since', async () => {
    const served = new ActiveGallery(gallerySizing(256));
    for (let person = 0; person < 512; person++) enrol(served.current, person);
    const graphs = graphsOf(served, { maxPending: 16 });
    graphs.adopt(served.current, PARTITION, await saveGraph(served.current, 512));
    await graphs.run();
    const gallery = served.current;
    const segments = gallery.partition(PARTITION)?.ranges() ?? [];
    const old = segments.map(({ segment }) => new WeakRef(segment.handle.memory));
    segments.length = 0;
    expect(old).toHaveLength(2);
    for (let person = 0; person < 200; person++) expunge(gallery, person);
    const compactor = new Compactor(served, (error) => {
      throw error;
    });
    await compactor.run();
    expect(compactor.compactions).toBe(1);
    // Unused for a minute: the memory kept for the next segments is released, too.
    gallery.releaseMemory(performance.now() + 120_000);
    await graphs.run();
    await vi.waitFor(
      () => {
        collect();
        expect(old.filter((memory) => memory.deref() !== undefined)).toHaveLength(1);
      },
      { timeout: 5000, interval: 50 },
    );
    expect(graphs.figures).toMatchObject([{ references: 312, removals: 0, state: 'ready' }]);
  });

  it('is read alone: its file takes as much memory as the graph, and room for it is checked before', async () => {
    const served = new ActiveGallery(gallerySizing(256));
    const partitions = ['m', 'n', 'o'].map((modelId) => ({ ...PARTITION, modelId }));
    for (let person = 0; person < 300; person++) {
      const packed = packFace(faceOf(person));
      served.current.apply(served.current.version + 1, {
        kind: 'upsert',
        subjectId: `p${person}`,
        attributes: subjectAttributes(),
        references: partitions.map((partition) => ({ referenceId: partition.modelId, partition, packed })),
      });
    }
    const graphs = graphsOf(served, { maxPending: 16 });
    const open = new Set<unknown>();
    let [most, opened] = [0, 0];
    for (const [i, partition] of partitions.entries()) {
      const saved = await saveGraph(served.current, 300, i);
      const opening = async () => {
        const { file, directions } = await saved.open();
        const close = file.close.bind(file);
        file.close = () => close().finally(() => open.delete(file));
        most = Math.max(most, open.add(file).size);
        opened++;
        return { file, directions };
      };
      graphs.adopt(served.current, partition, { ...saved, open: opening });
    }
    await graphs.run();
    expect([opened, most, open.size]).toEqual([3, 1, 0]);
    expect(graphs.figures.map(({ references, state }) => [references, state])).toEqual(
      partitions.map(() => [300, 'ready']),
    );
  });

  it('that cannot be read is reported, and one is built in its place', async () => {
    const served = new ActiveGallery(gallerySizing(256));
    const errors: unknown[] = [];
    const graphs = graphsOf(served, { pauseMs: 0 }, (error) => errors.push(error));
    for (let person = 0; person < 300; person++) enrol(served.current, person);
    const saved = await saveGraph(served.current, 300);
    await saved.file.truncate(5000);
    graphs.adopt(served.current, PARTITION, saved);
    await graphs.run();
    expect(errors).toHaveLength(1);
    await graphs.run();
    expect(graphs.figures).toMatchObject([{ references: 300, state: 'ready' }]);
    expect(await nearestNow(graphs, served.current, probeOf(9), 10)).toContain('p9');
  });

  it('that is never needed is not opened', async () => {
    const gallery = galleryOf(10);
    const graphs = graphsFor({ current: gallery });
    const saved = await saveGraph(gallery, 10);
    const opening = vi.spyOn(saved, 'open');
    graphs.adopt(gallery, PARTITION, saved);
    await graphs.run();
    await graphs.stop();
    expect(opening).not.toHaveBeenCalled();
    await saved.file.close();
  });
});
