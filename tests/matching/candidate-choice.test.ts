import { describe, expect, it } from 'vitest';
import { Segment } from '../../src/gallery/segment.ts';
import { packFace, type PackedProbe } from '../../src/matching/kernels/packed-probe.ts';
import { SHIPPED_CALIBRATIONS } from '../../src/matching/rates/calibrations.ts';
import { CandidateChoice, type ChoiceRequest } from '../../src/matching/workers/candidate-choice.ts';
import { SEGMENT_SCRATCH_BYTES, SegmentReader } from '../../src/matching/workers/segment-reader.ts';
import { STOP, type StopMark } from '../../src/matching/workers/stop-signal.ts';
import { random } from '../prints.ts';

const DIMENSION = 64;
const COUNT = 9000;

/** Stops its work at the given look; 0: never. Counts the looks. */
class Watched implements StopMark {
  readonly level = STOP.all;
  readonly #word = new SharedArrayBuffer(4);
  readonly #last: number;
  looks = 0;

  constructor(last = 0) {
    this.#last = last;
  }

  get word(): SharedArrayBuffer {
    if (++this.looks === this.#last) new Int32Array(this.#word)[0] = STOP.all;
    return this.#word;
  }
}

function faceOf(person: number): PackedProbe {
  const next = random(person + 1);
  const values = Int8Array.from({ length: DIMENSION }, () => 120 * (next() - 0.5));
  const packed = packFace({ modality: 'face', modelId: 'm', dimension: DIMENSION, quality: 0, values });
  return { modality: 'face', modelId: 'm', dimension: DIMENSION, packed };
}

/** A choice without its times. */
function chosenBy(choice: CandidateChoice, request: ChoiceRequest) {
  return { ...choice.choose(request), reranked: undefined };
}

/** All references of every part tie. */
function tied(instances: number, probes = instances): Omit<ChoiceRequest, 'stop'> {
  const parts = Array.from({ length: probes }, (_, probe) => {
    const segment = new Segment(COUNT, DIMENSION, { scratchBytes: SEGMENT_SCRATCH_BYTES });
    for (let i = 0; i < COUNT; i++) segment.append(faceOf(i).packed, i);
    const reader = new SegmentReader(segment.handle, SHIPPED_CALIBRATIONS);
    const place = { instance: probe % instances, probe, count: COUNT, isCoded: true, offset: probe * COUNT };
    return { ...place, segment: { handle: segment.handle, reader } };
  });
  const values = new SharedArrayBuffer(probes * COUNT);
  new Uint8Array(values).fill(9);
  return {
    parts,
    probes: parts.map((_, p) => faceOf(3000 + p)),
    values,
    ordinals: COUNT,
    filter: undefined,
    ranked: 50,
    wanted: 20,
  };
}

it('a subject with several references is chosen once', () => {
  const { order, subjects } = new CandidateChoice().choose({ ...tied(1, 2), stop: new Watched() });
  const chosen = [order.certain, order.first, order.rest].flatMap((lists) => lists.map((list) => [...list]));
  expect(subjects).toBe(20);
  expect(chosen.flat().length).toBe(40);
  expect(new Set(chosen.flat()).size).toBe(20);
});

describe.each([1, 2])('a choice with %i instances', (instances) => {
  it('ends at its next look at the stop word, and disturbs no later one', () => {
    const request = tied(instances);
    const choice = new CandidateChoice();
    const all = new Watched();
    const whole = chosenBy(choice, { ...request, stop: all });
    expect(whole.references).toEqual(request.parts.map(() => COUNT));
    expect(whole.subjects).toBe(20);
    // One at the beginning, three for each part ranked by 9000 vectors, three and two a part for the order. For several
    // instances, two more a part for noting and listing.
    expect(all.looks).toBe(1 + 3 * instances + 3 + 2 * instances + (instances > 1 ? 2 * instances : 0));
    for (let last = 1; last <= all.looks; last++) {
      const stop = new Watched(last);
      const stopped = choice.choose({ ...request, stop });
      expect(stop.looks).toBe(last);
      expect(stopped).toMatchObject({ subjects: 0, areAll: false, references: request.parts.map(() => 0) });
      expect(Object.values(stopped.order).flat()).toEqual(
        request.parts.flatMap(() => [0, 1, 2].map(() => new Uint32Array(0))),
      );
      if (last % 5 === 0) expect(chosenBy(choice, { ...request, stop: new Watched() })).toEqual(whole);
    }
    expect(chosenBy(choice, { ...request, stop: new Watched(all.looks + 1) })).toEqual(whole);
  });
});
