/** The figures as tables. */
import Table from 'cli-table3';
import { SHORTLIST } from '../../src/matching/search/list-sizes.ts';
import type { DeletionFigures } from './deletion.ts';
import type { Growth } from './equal-hit-rate.ts';
import type { GrowthRow } from './growth-rows.ts';
import type { GraphReport, SizeFigures } from './report.ts';
import type { MethodFigures, SearchFigures, ShareOfMates } from './searches.ts';

export function printReport(report: GraphReport): void {
  const { graph, kernels, vectorBytes, codeBytes, sizes, growth } = report;
  console.log(`${report.vectors}.`);
  console.log(
    `HNSW: ${graph.dimensions} components with ${(100 * sizes[sizes.length - 1].variance).toFixed(0)} % of the variance, space ` +
      `${graph.space}, M ${graph.links}, ef_construction ${graph.efConstruction}. Kernels: ${kernels}. Shares with 95 % limits ` +
      '(Clopper-Pearson). Times of one thread: the least of each probe, and the median of all.',
  );
  for (const size of sizes) for (const figures of size.figures) printSearches(size.subjects, figures, codeBytes > 0);
  console.log('\nCost of a subject');
  console.log(costTable(sizes, vectorBytes, codeBytes));
  printGrowth(growth, sizes);
  printDeletion(report.deletion, report.subjects);
}

function printSearches(subjects: number, figures: SearchFigures, hasCodes: boolean): void {
  const { kind, searches, firstByScan, comparedByScan, scanMilliseconds, codes, graph } = figures;
  const percent = `${100 * SHORTLIST.share} %`;
  console.log(
    `\n${whole(subjects)} subjects, ${kind}: of ${searches} mates the scan of whole vectors has ${firstByScan} at rank 1` +
      (hasCodes ? ` and ${comparedByScan} in the first ${percent}.` : '.'),
  );
  const compared = hasCodes ? [`of those in the first ${percent}`] : [];
  const table = tableOf(['method', 'list', 'of those at rank 1', ...compared, 'ms a search', 'speed-up']);
  const row = (name: string, method: MethodFigures) => [
    name,
    whole(method.listLength),
    shareWithLimits(method.first),
    ...(hasCodes ? [shareWithLimits(method.compared)] : []),
    milliseconds(method.milliseconds),
    method.timesFaster.toFixed(1),
  ];
  table.push([
    'whole vectors',
    whole(subjects),
    'all',
    ...(hasCodes ? ['all'] : []),
    milliseconds(scanMilliseconds),
    1,
  ]);
  for (const figure of codes) table.push(row(`codes, ${(100 * figure.chosen).toFixed(1)} %`, figure));
  for (const figure of graph) table.push(row(`graph, ef ${figure.ef}`, figure));
  console.log(table.toString());
}

function costTable(sizes: readonly SizeFigures[], vectorBytes: number, codeBytes: number): string {
  const table = tableOf([
    'subjects',
    'bytes: vectors',
    ...(codeBytes > 0 ? ['codes'] : []),
    'graph file',
    'graph memory',
    'build ms: graph',
    ...(codeBytes > 0 ? ['codes'] : []),
  ]);
  for (const { subjects, graph, codeMicroseconds } of sizes)
    table.push([
      whole(subjects),
      vectorBytes,
      ...(codeBytes > 0 ? [codeBytes] : []),
      whole(graph.fileBytes),
      whole(graph.residentBytes),
      graph.buildMilliseconds.toFixed(2),
      ...(codeMicroseconds === undefined ? [] : [(codeMicroseconds / 1000).toFixed(3)]),
    ]);
  return table.toString();
}

function printGrowth(rows: readonly GrowthRow[], sizes: readonly SizeFigures[]): void {
  const hasCodes = sizes.some(({ codeMicroseconds }) => codeMicroseconds !== undefined);
  console.log(
    `\nTime at equal hit rate by size (${sizes.map(({ subjects }) => whole(subjects)).join(', ')} subjects; between two settings ` +
      'interpolated), and the size from which the graph stays faster: its time fitted by a power of the size, that of a scan ' +
      'by a straight line. In brackets the least and greatest by only two of the sizes. Beyond the sizes measured it is an ' +
      'extrapolation. none: no such size. -: no setting reaches the hit rate at two sizes.',
  );
  const table = tableOf([
    'mates',
    'hit rate',
    'graph, ms',
    'grows by',
    'faster than whole vectors from',
    ...(hasCodes ? ['codes, ms', 'faster than codes from'] : []),
  ]);
  for (const { kind, criterion, hitRate, times, overScan, overCodes } of rows) {
    const mates = criterion === 'first' ? 'rank 1' : `first ${100 * SHORTLIST.share} %`;
    const exponent = overScan?.graph.exponent;
    table.push([
      hasCodes ? `${kind}, ${mates}` : mates,
      `${Number((100 * hitRate).toFixed(1))} %`,
      times.map(({ graph }) => milliseconds(graph)).join(' / '),
      exponent === undefined ? '-' : `N^${exponent.toFixed(2)}`,
      crossingWords(overScan, sizes[0].subjects),
      ...(hasCodes
        ? [times.map(({ codes }) => milliseconds(codes)).join(' / '), crossingWords(overCodes, sizes[0].subjects)]
        : []),
    ]);
  }
  console.log(table.toString());
}

function printDeletion(deletion: DeletionFigures, subjects: number): void {
  const { expunged, returned, kept, graphMilliseconds, segmentMicroseconds, recall } = deletion;
  console.log(
    `\nExpunging ${whole(expunged)} of ${whole(subjects)} subjects: overwritten in the graph, then marked as deleted: ` +
      `${milliseconds(graphMilliseconds)} ms each (in the segments, with codes if any, ${segmentMicroseconds.toFixed(1)} µs). ` +
      `${returned} of the expunged mates returned, ${kept} vectors left in the graph. The other mates:`,
  );
  const table = tableOf(['ef', 'of those at rank 1, before', 'after']);
  for (const { ef, before, after } of recall) table.push([ef, shareWithLimits(before), shareWithLimits(after)]);
  console.log(table.toString());
}

/** @param least - the smallest size that was measured */
function crossingWords(growth: Growth | undefined, least: number): string {
  if (growth === undefined) return '-';
  const words = (subjects: number) => {
    if (subjects === Infinity) return 'none';
    // To two digits: a fit of few sizes says no more.
    return subjects < least ? `< ${whole(least)}` : whole(Number(subjects.toPrecision(2)));
  };
  const [all, low, high] = [growth.crossing, ...growth.crossings].map(words);
  return low === all && high === all ? all : `${all} (${low} to ${high})`;
}

function tableOf(head: string[]) {
  return new Table({
    head,
    colAligns: head.map(() => 'right' as const),
    style: { head: [], border: [], compact: true },
  });
}

function shareWithLimits({ share, limits: [low, high] }: ShareOfMates): string {
  return `${(100 * share).toFixed(2)} % (${(100 * low).toFixed(2)} to ${(100 * high).toFixed(2)})`;
}

function milliseconds(value: number | undefined): string {
  return value === undefined ? '-' : value.toFixed(value < 1 ? 3 : 2);
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en');
}
