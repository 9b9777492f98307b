import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Gallery, type SearchableReference } from '../../../src/gallery/gallery.ts';
import type { ListKind } from '../../../src/matching/workers/list-lengths.ts';
import type { ChosenPart, ComparisonOrder } from '../../../src/matching/workers/messages.ts';
import { StopSignal } from '../../../src/matching/workers/stop-signal.ts';
import { gallerySizing } from '../../../src/matching/workers/gallery-sizing.ts';
import { WorkerPool } from '../../../src/matching/workers/worker-pool.ts';
import { chosenParts, placedParts, scanCodes, valueBytes } from '../../../src/matching/search/code-scan.ts';
import { packTemplates, prepareProbes, type Probe } from '../../../src/matching/search/probe.ts';
import { SearchTasks } from '../../../src/matching/search/search-tasks.ts';
import { SearchView } from '../../../src/matching/search/search-view.ts';
import { ValueBuffers } from '../../../src/matching/search/value-buffers.ts';
import { placeMate } from '../../../src/matching/tuning/place-mate.ts';
import { garbage, secondImpression, somePrint } from '../../prints.ts';
import { subjectAttributes } from '../../subject-attributes.ts';
import { EVERYTHING } from '../../../src/gallery/scope.ts';

const PEOPLE = 600;
const signal = new AbortController().signal;

let pool: WorkerPool;
let gallery: Gallery;

const print = (person: number, finger: number) => somePrint(2 * person + finger, 30);

beforeAll(async () => {
  pool = new WorkerPool(2);
  // Two segments for each finger, and subjects with two captures of one.
  gallery = new Gallery(gallerySizing(400));
  for (let person = 0; person < PEOPLE; person++) {
    const prints = [
      print(person, 0),
      print(person, 1),
      ...(person % 7 === 0 ? [secondImpression(print(person, 0), 5, 9)] : []),
    ];
    const packed = await packTemplates(pool, prints);
    const references = packed.map((bytes, i): SearchableReference => {
      return {
        referenceId: `r${person}-${i}`,
        partition: { modality: 'finger', position: i === 1 ? 7 : 2 },
        packed: bytes,
      };
    });
    gallery.load(`p${person}`, subjectAttributes(), references);
  }
  gallery.startAt(1);
});
afterAll(() => pool.close());

async function probesOf(person: number, fingers: number, noise: number): Promise<Probe[]> {
  const templates = [0, 1].slice(0, fingers).map((finger) => {
    return {
      ...secondImpression(print(person, finger), 77 + person, 12, noise),
      position: finger === 0 ? (2 as const) : (7 as const),
    };
  });
  return prepareProbes(
    pool,
    templates.map((template, sampleIndex) => ({ sampleIndex, viewIndex: 0, template })),
  );
}

/** The choice and the place by one scan. */
async function scanned(probes: readonly Probe[], subject: number) {
  const view = new SearchView(gallery, probes, EVERYTHING);
  const parts = placedParts(probes, view);
  const values = new SharedArrayBuffer(Math.max(2, valueBytes(parts)));
  const run = { view, tasks: new SearchTasks(2), stop: new StopSignal(), signal };
  await scanCodes(pool, probes, parts, values, run);
  const handles = parts.map(({ segment }) => segment.handle);
  const common = {
    probes: probes.map(({ packed }) => packed),
    parts: chosenParts(parts),
    values,
    ordinals: view.ordinals,
    filter: undefined,
  };
  const lists = async (ranked: number, wanted: number) => {
    const { order } = await pool.choose({ kind: 'choose', ...common, ranked, wanted, stop: run.stop.all }, handles);
    return ownersIn(
      order,
      parts.map(({ segment }, p) => [segment, common.parts[p]] as const),
    );
  };
  const place = (ranked: number) => pool.place({ kind: 'place', ...common, ranked, subject }, handles);
  return { lists, place, close: () => view.close() };
}

function ownersIn(
  order: ComparisonOrder,
  parts: readonly (readonly [{ ownersOf(indices: Uint32Array): Uint32Array }, ChosenPart])[],
): Set<number> {
  const owners = parts.flatMap(([segment], p) =>
    [order.certain, order.first, order.rest].flatMap((lists) => [...segment.ownersOf(lists[p])]),
  );
  return new Set(owners);
}

describe('the place of a subject', () => {
  it.each([
    { kind: 'finger', fingers: 1, noise: 2.5 },
    { kind: 'fingers', fingers: 2, noise: 5 },
  ] satisfies { kind: ListKind; fingers: number; noise: number }[])(
    'is the shortest list that contains it: $kind',
    async ({ fingers, noise }) => {
      const seen = new Set<number>();
      for (let person = 0; person < 40; person++) {
        const probes = await probesOf(person, fingers, noise);
        const ordinal = gallery.subject(`p${person}`)?.ordinal ?? -1;
        const { lists, place, close } = await scanned(probes, ordinal);
        const { byValues } = await place(1);
        expect(await lists(byValues, 10_000)).toContain(ordinal);
        if (byValues > 1) expect(await lists(byValues - 1, 10_000)).not.toContain(ordinal);
        const { byVectors } = await place(byValues);
        seen.add(byValues).add(byVectors);
        expect(await lists(byValues, byVectors)).toContain(ordinal);
        if (byVectors > 1) expect(await lists(byValues, byVectors - 1)).not.toContain(ordinal);
        // More or fewer others change the place by vectors alone.
        const all = await place(10_000);
        expect(all.byValues).toBe(byValues);
        expect(all.byVectors).toBeGreaterThanOrEqual(byVectors);
        expect(await lists(10_000, all.byVectors)).toContain(ordinal);
        const few = await place(Math.max(1, byValues - 5));
        expect(few.byVectors).toBeLessThanOrEqual(byVectors);
        expect(few.first).toEqual(all.first);
        close();
      }
      expect(seen.size).toBeGreaterThan(8);
    },
  );

  it('is found by vectors although it is not in the list by values', async () => {
    const outside: number[] = [];
    for (let person = 0; person < 80; person++) {
      const probes = await probesOf(person, 1, 2.5);
      const { lists, place, close } = await scanned(probes, gallery.subject(`p${person}`)?.ordinal ?? -1);
      const { byValues, byVectors } = await place(1);
      if (byValues > 1) {
        const others = (await lists(1, 10_000)).size;
        expect(byVectors).toBeLessThanOrEqual(others + 1);
        outside.push(byVectors);
      }
      close();
    }
    expect(new Set(outside).size).toBeGreaterThan(1);
  });

  it('is none for a subject without references', async () => {
    const { place, close } = await scanned(await probesOf(0, 1, 2.5), PEOPLE + 5);
    expect(await place(1)).toMatchObject({ byValues: Infinity, byVectors: Infinity, first: [] });
    close();
  });
});

describe('a placed mate', () => {
  const placed = async (person: number, probes: readonly Probe[], other = gallery) => {
    const mate = other.subject(`p${person}`);
    if (mate === undefined) throw new Error('not enrolled');
    return placeMate(other, pool, probes, mate, 0.01, new ValueBuffers(), signal);
  };

  it('has a place where it reaches the threshold', async () => {
    expect(await placed(4, await probesOf(4, 2, 0.5))).toEqual({ byValues: 1, byVectors: 1, among: 3000 });
  });

  it('has none where an exact search would not have it either', async () => {
    const template = { ...garbage(3, 30), position: 2 as const };
    const probes = await prepareProbes(pool, [{ sampleIndex: 0, viewIndex: 0, template }]);
    expect(await placed(4, probes)).toBeUndefined();
    expect(await placed(4, await probesOf(5, 1, 0.5))).toBeUndefined();
  });

  it('is given up with the reason of the signal, and no search stays open', async () => {
    const controller = new AbortController();
    const mate = gallery.subject('p4');
    if (mate === undefined) throw new Error('not enrolled');
    const probes = await probesOf(4, 2, 0.5);
    const placing = placeMate(gallery, pool, probes, mate, 0.01, new ValueBuffers(), controller.signal);
    controller.abort(new Error('stopped'));
    await expect(placing).rejects.toThrow('stopped');
    await gallery.presentSearchesEnded();
  });
});
