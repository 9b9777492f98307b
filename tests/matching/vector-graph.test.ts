import { expect, it } from 'vitest';
import { VectorGraph } from '../../src/matching/graph/vector-graph.ts';
import { learnPrincipalDirections } from '../../src/matching/kernels/principal-directions.ts';
import { random } from '../prints.ts';

const DIMENSION = 16;

it('every vector can be found beside hundreds of equal ones, also after many changes', () => {
  const draw = random(7);
  const some = (count: number) => Int8Array.from({ length: count * DIMENSION }, () => Math.round(200 * (draw() - 0.5)));
  const blank = some(1);
  const graph = new VectorGraph(learnPrincipalDirections(some(50), DIMENSION, 8));
  const labels: number[] = [];
  const blanks = new Set<number>();
  let next = 0;
  const add = () => {
    const isBlank = draw() < 0.3;
    if (isBlank) blanks.add(next);
    graph.add(isBlank ? blank : some(1), next);
    labels.push(next++);
  };
  let unfound = 0;
  for (let i = 0; i < 1000; i++) add();
  for (let i = 0; i < 1500; i++) {
    const [gone] = labels.splice(Math.floor(draw() * labels.length), 1);
    graph.remove(gone);
    add();
    if (i % 100 > 0) continue;
    const found = new Set(graph.search(some(1), graph.places));
    unfound += labels.filter((label) => !blanks.has(label) && !found.has(label)).length;
    expect([...found].every((label) => labels.includes(label))).toBe(true);
  }
  expect(unfound).toBe(0);
});
