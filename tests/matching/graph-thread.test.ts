import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { GraphLostError, GraphThread } from '../../src/matching/graph/graph-thread.ts';
import { openMemoryFile, pathOfFile } from '../../src/files/memory-file.ts';
import { isCompleteGraph } from '../../src/matching/graph/saved-graph.ts';
import { graphBytes, heldVector, VectorGraph } from '../../src/matching/graph/vector-graph.ts';
import { learnPrincipalDirections, type PrincipalDirections } from '../../src/matching/kernels/principal-directions.ts';
import { DIMENSION, faceOf } from './vector-people.ts';

const SIZE = 32;

function rowsOf(people: number): Int8Array {
  const rows = new Int8Array(people * DIMENSION);
  for (let person = 0; person < people; person++) rows.set(faceOf(person).values, person * DIMENSION);
  return rows;
}
const directions = learnPrincipalDirections(rowsOf(400), DIMENSION, SIZE);

function graphOf(people: number): VectorGraph {
  const graph = new VectorGraph(directions);
  for (let person = 0; person < people; person++) graph.add(faceOf(person).values, person);
  return graph;
}

const files: FileHandle[] = [];
const threads: GraphThread[] = [];
afterEach(async () => {
  await Promise.all(threads.splice(0).map((thread) => thread.stop()));
  await Promise.all(files.splice(0).map((file) => file.close()));
});

async function memoryFile(): Promise<FileHandle> {
  const file = await openMemoryFile(1_000_000);
  files.push(file);
  return file;
}

async function saved(graph: VectorGraph): Promise<{ file: FileHandle; bytes: Buffer }> {
  const file = await memoryFile();
  graph.save(pathOfFile(file));
  const { size } = await file.stat();
  const bytes = Buffer.alloc(size);
  await file.read(bytes, 0, size, 0);
  return { file, bytes };
}

/** Whether a person's vector is anywhere in the bytes, as hnswlib keeps it: any eight neighbouring components of it. */
function hasVector(bytes: Buffer, person: number): boolean {
  const floats = Buffer.from(Float32Array.from(heldVector(directions, faceOf(person).values, person)).buffer);
  return Array.from({ length: SIZE / 8 }, (_, i) => floats.subarray(i * 32, (i + 1) * 32)).some((part) =>
    bytes.includes(part),
  );
}

const signal = new AbortController().signal;

describe('a graph', () => {
  it('finds the vectors that it has', () => {
    const graph = graphOf(300);
    for (let person = 0; person < 300; person += 7) {
      expect(graph.search(faceOf(person, 1).values, 5)[0]).toBe(person);
      expect(graph.search(faceOf(person, 1).values, 5)).toHaveLength(5);
    }
    expect(new Set(graph.search(faceOf(1).values, 10_000))).toEqual(new Set(Array.from({ length: 300 }, (_, i) => i)));
    expect(new VectorGraph(directions).search(faceOf(1).values, 5)).toHaveLength(0);
  });

  it('grows beyond its first places', () => {
    const graph = graphOf(1200);
    expect(graph.places).toBe(1200);
    for (const person of [3, 1023, 1024, 1199]) expect(graph.search(faceOf(person).values, 5)[0]).toBe(person);
  });

  it('keeps nothing of a removed vector, and does not find it', async () => {
    const graph = graphOf(300);
    const gone = Array.from({ length: 60 }, (_, i) => i * 5);
    const before = await saved(graph);
    for (const person of gone) expect(hasVector(before.bytes, person)).toBe(true);
    for (const person of gone) graph.remove(person);
    const after = await saved(graph);
    for (const person of gone) {
      expect(hasVector(after.bytes, person)).toBe(false);
      expect(hasVector(after.bytes, person + 1)).toBe(true);
      expect(graph.search(faceOf(person).values, 300)).not.toContain(person);
    }
    expect(graph.search(faceOf(1).values, 300)).toHaveLength(240);
    expect(() => graph.remove(1000)).toThrow();
  });

  it('uses the places of removed vectors again', () => {
    const graph = graphOf(300);
    for (let person = 0; person < 100; person++) graph.remove(person);
    for (let person = 0; person < 100; person++) graph.add(faceOf(1000 + person).values, 300 + person);
    expect(graph.places).toBe(300);
    for (let person = 0; person < 100; person++)
      expect(graph.search(faceOf(1000 + person).values, 5)[0]).toBe(300 + person);
  });

  it('is the same after the same changes', async () => {
    const changed = () => {
      const graph = graphOf(300);
      for (let person = 0; person < 40; person++) graph.remove(person * 3);
      for (let person = 0; person < 60; person++) graph.add(faceOf(500 + person).values, 300 + person);
      return saved(graph);
    };
    expect((await changed()).bytes.equals((await changed()).bytes)).toBe(true);
  });

  it('has the memory that is estimated, without what a file leaves out', async () => {
    const { bytes } = await saved(graphOf(1000));
    const leftOut = 1000 * (8 + 4 + 40 + 2 + 40 - 4);
    expect(Math.abs(bytes.length + leftOut - graphBytes(1000, SIZE))).toBeLessThan(0.02 * bytes.length);
  });
});

describe('a saved graph', () => {
  it('is read again, and keeps up with changes', async () => {
    const { file } = await saved(graphOf(300));
    const read = new VectorGraph(directions, pathOfFile(file));
    expect(read.search(faceOf(77).values, 3)[0]).toBe(77);
    read.remove(77);
    read.add(faceOf(1000).values, 300);
    expect(read.places).toBe(300);
    expect(read.search(faceOf(77).values, 300)).not.toContain(77);
    expect(read.search(faceOf(1000).values, 3)[0]).toBe(300);
  });

  it('that is damaged is refused', async () => {
    const { file, bytes } = await saved(graphOf(300));
    await file.truncate(bytes.length >> 1);
    expect(() => new VectorGraph(directions, pathOfFile(file))).toThrow('corrupted');
    expect(() => new VectorGraph(directions, '/nowhere')).toThrow('failed to open');
  });

  it('has no name: nothing can be left of it', async () => {
    const before = readdirSync('/dev/shm');
    const { file, bytes } = await saved(graphOf(50));
    expect(bytes.length).toBeGreaterThan(50 * 4 * SIZE);
    expect((await file.stat()).nlink).toBe(0);
    expect(readdirSync('/dev/shm')).toEqual(before);
  });

  it('is complete only to its last byte', async () => {
    const { file, bytes } = await saved(graphOf(300));
    expect(await isCompleteGraph(file)).toBe(true);
    for (const length of [0, 50, 96, bytes.length >> 1, bytes.length - 4, bytes.length - 1]) {
      const cut = await memoryFile();
      await cut.write(bytes.subarray(0, length));
      expect(await isCompleteGraph(cut)).toBe(false);
    }
    await file.write(Buffer.alloc(1), 0, 1, bytes.length);
    expect(await isCompleteGraph(file)).toBe(false);
  });

  it('is written to memory only', async () => {
    await expect(openMemoryFile(1, '/nowhere')).rejects.toMatchObject({ reason: 'NO_MEMORY_FILE' });
    await expect(openMemoryFile(1, '/proc')).rejects.toThrow('There is no file system in memory (tmpfs) at /proc.');
    await expect(openMemoryFile(1, '/nowhere')).rejects.toThrow(
      'There is no file system in memory (tmpfs) at /nowhere.',
    );
    await expect(openMemoryFile(1e15)).rejects.toThrow(/has \d+ MB left; 1000000000 MB are needed/);
  });
});

describe('the thread of a graph', () => {
  function thread(onFailure: (error: unknown) => void = () => undefined): GraphThread {
    const made = new GraphThread(onFailure);
    threads.push(made);
    return made;
  }
  const add = (people: readonly number[]) => {
    const vectors = new Int8Array(people.length * DIMENSION);
    people.forEach((person, i) => vectors.set(faceOf(person).values, i * DIMENSION));
    return { kind: 'add', vectors, labels: Uint32Array.from(people) } as const;
  };
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

  it('learns, adds, removes and searches', async () => {
    const owner = thread();
    const learned = await owner.change({ kind: 'learn', rows: rowsOf(400), dimension: DIMENSION, size: SIZE });
    expect(learned.directions).toEqual(directions);
    await owner.change({ kind: 'begin', directions });
    let done = 0;
    while (done < 300) done += (await owner.change(add(range(done, 300)))).done;
    const found = await owner.search({ kind: 'search', vector: faceOf(7).values, ef: 4 }, signal);
    expect(found).toMatchObject({ places: 300, done: 0 });
    expect(found.labels[0]).toBe(7);
    expect(found.busyMs).toBeGreaterThan(0);
    expect((await owner.change({ kind: 'remove', labels: Uint32Array.of(7) })).done).toBe(1);
    const others = await owner.search({ kind: 'search', vector: faceOf(7).values, ef: 4 }, signal);
    expect(others.labels).toHaveLength(4);
    expect(others.labels).not.toContain(7);
  });

  it('limits the time of changes, so that a search waits for some milliseconds', async () => {
    const owner = thread();
    await owner.change({ kind: 'begin', directions });
    const { done, busyMs } = await owner.change(add(range(0, 3000)));
    expect(done).toBeGreaterThan(0);
    expect(done).toBeLessThan(3000);
    expect(busyMs).toBeGreaterThan(4);
  });

  it('takes searches and changes by turns', async () => {
    const owner = thread();
    await owner.change({ kind: 'begin', directions });
    await owner.change(add([1]));
    const order: string[] = [];
    const changes = range(10, 14).map((person) => owner.change(add([person])).then(() => order.push('change')));
    const searches = range(0, 4).map(() =>
      owner.search({ kind: 'search', vector: faceOf(1).values, ef: 1 }, signal).then(() => order.push('search')),
    );
    await Promise.all([...changes, ...searches]);
    expect(order).toEqual(['change', 'search', 'change', 'search', 'change', 'search', 'change', 'search']);
  });

  it('does not do what nobody waits for any more', async () => {
    const owner = thread();
    await owner.change({ kind: 'begin', directions });
    const controller = new AbortController();
    const running = owner.change(add(range(0, 3000)));
    const search = owner.search({ kind: 'search', vector: faceOf(1).values, ef: 1 }, controller.signal);
    controller.abort(new Error('not wanted'));
    await expect(search).rejects.toThrow('not wanted');
    await running;
    await expect(owner.search({ kind: 'search', vector: faceOf(1).values, ef: 1 }, controller.signal)).rejects.toThrow(
      'not wanted',
    );
  });

  it('fails as a whole: its graph may be damaged', async () => {
    const errors: unknown[] = [];
    const owner = thread((error) => errors.push(error));
    await owner.change({ kind: 'begin', directions });
    const failing = owner.change({ kind: 'remove', labels: Uint32Array.of(5) });
    const waiting = owner.search({ kind: 'search', vector: faceOf(1).values, ef: 1 }, signal);
    await expect(failing).rejects.toThrow(GraphLostError);
    await expect(waiting).rejects.toThrow(GraphLostError);
    await expect(owner.change({ kind: 'begin', directions })).rejects.toThrow(GraphLostError);
    expect(errors).toHaveLength(1);
  });

  it('saves and loads', async () => {
    const owner = thread();
    await owner.change({ kind: 'begin', directions });
    await owner.change(add([1, 2, 3]));
    const file = await memoryFile();
    await owner.change({ kind: 'save', path: pathOfFile(file) });
    expect(await isCompleteGraph(file)).toBe(true);
    const other = thread();
    const { places } = await other.change({ kind: 'load', path: pathOfFile(file), directions });
    expect(places).toBeGreaterThan(0);
    expect((await other.search({ kind: 'search', vector: faceOf(1).values, ef: 1 }, signal)).labels[0]).toBe(1);
  });

  it('does not abort a process that exits meanwhile', async () => {
    const source = `
      const { GraphThread } = await import(process.env.THREAD);
      const { directions, vectors } = JSON.parse(process.env.DATA);
      for (const name of ['directions', 'mean']) directions[name] = Float64Array.from(directions[name]);
      const thread = new GraphThread(() => undefined);
      await thread.change({ kind: 'begin', directions });
      const labels = Uint32Array.from({ length: vectors.length / directions.dimension }, (_, i) => i);
      for (let done = 0; done < labels.length; )
        done += (await thread.change({ kind: 'add', vectors: Int8Array.from(vectors.slice(done * directions.dimension)), labels: labels.slice(done) })).done;
      const removing = async () => {
        for (let done = 0; ; ) done += (await thread.change({ kind: 'remove', labels: labels.slice(done) })).done;
      };
      void removing();
      setTimeout(() => process.exit(3), Number(process.env.AFTER_MS));
    `;
    const plain = (one: PrincipalDirections) => ({
      ...one,
      directions: Array.from(one.directions),
      mean: Array.from(one.mean),
    });
    const env = {
      THREAD: new URL('../../src/matching/graph/graph-thread.ts', import.meta.url).href,
      DATA: JSON.stringify({ directions: plain(directions), vectors: Array.from(rowsOf(200)) }),
    };
    for (const AFTER_MS of ['3', '8', '13', '18', '23']) {
      const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', source], {
        env: { ...env, AFTER_MS },
      });
      await expect(run).rejects.toMatchObject({ code: 3, signal: null });
    }
  });
});
