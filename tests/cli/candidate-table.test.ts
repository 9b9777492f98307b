/** The text of a candidate list. */
import { expect, it } from 'vitest';
import { renderCandidates } from '../../src/cli/candidate-table.ts';
import {
  IdentifyResponse,
  IndexReport,
  IndexWay,
  SearchMode,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';

const textOf = (way: IndexWay, early: boolean) =>
  renderCandidates(
    IdentifyResponse.create({
      searchMode: SearchMode.INDEXED,
      searchedFraction: early ? 0.02 : 1,
      early,
      index: IndexReport.create({ penetration: 0.02, way }),
    }),
  );

it('says which index proposed the subjects', () => {
  expect(textOf(IndexWay.CODES, false)).toContain('The index (codes) proposed 2 % of the subjects; ');
  expect(textOf(IndexWay.GRAPH, false)).toContain('The index (graph) proposed 2 % of the subjects; ');
});

it('says of an early answer, and of no other, that a stronger candidate may be missing', () => {
  const sentence = 'a stronger candidate may be missing';
  expect(textOf(IndexWay.CODES, true)).toContain(sentence);
  // The audit's figures hold for complete searches.
  expect(textOf(IndexWay.CODES, true)).not.toContain('has not been measured');
  expect(textOf(IndexWay.CODES, false)).not.toContain(sentence);
  expect(textOf(IndexWay.CODES, false)).toContain('has not been measured');
});
