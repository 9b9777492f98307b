/**
 * Printed words of results, by their key in a document. A key identifies a figure in stored documents and baselines: rename
 * it in all of them or not at all. The printed words are those of the field (ISO/IEC 2382-37, ISO/IEC 19795-1, hnswlib,
 * PostgreSQL).
 */
export const WORDS: Readonly<Record<string, string>> = {
  // fixture-statistics
  'genuine scores': 'mated scores',
  'impostor 99 / 99.9 %': 'non-mated scores, 99 / 99.9 %',
  genuine: 'mated',
  impostor: 'non-mated',
  // search
  'stages of an indexed search, CPU ms': 'indexed search by stage, CPU ms',
  nanoseconds: 'cost per unit, ns',
  'a vector': 'scan, per candidate vector',
  'a byte of codes': 'scan, per byte of codes',
  'choosing, by reference and subject': 'choose, per reference and subject',
  'adding one up': 'merge, per reference',
  'a comparison of fingers': 'compare, per finger reference',
  'a face': 'scan, per face reference',
  'CPU ms, most': 'CPU ms, max',
  'elapsed ms, most': 'elapsed ms, max',
  missedByIndex: 'rank 1 by exact search only',
  rankedFirstByNeither: 'rank 1 by neither',
  minutiaeOfMissed: 'minutiae of missed probes',
  // graph
  links: 'M',
  firstByScan: 'rank 1 by the scan of whole vectors',
  comparedByScan: 'in the first 0.6 % by the scan of whole vectors',
  scanMilliseconds: 'scan of whole vectors, ms',
  timesFaster: 'speed-up over the scan of whole vectors',
  first: 'rank 1',
  compared: 'in the list, of those in the first 0.6 %',
  listLength: 'length of the list',
  overScan: 'graph against whole vectors',
  overCodes: 'graph against codes',
  // e1n, growth, hit-rate, penetration
  'bytes a reference': 'bytes per reference',
  'bytes of a finger record': 'bytes per finger record',
  'bytes of a vector': 'bytes per candidate vector',
  'ns a subject': 'ns per subject',
  way: 'method',
  // strata
  'highest to lowest FNMR': 'FNMR, highest / lowest',
  // load
  'generators, processes': 'generator processes',
  unloaded: 'one caller, ms',
  'unloaded again': 'one caller after overload, ms',
  'eight callers, searches/s': 'closed loop with 8 callers, searches/s',
  sustainable: 'sustainable rate, calls/s',
  'gRPC calls/s beside': 'concurrent gRPC calls/s',
  asked: 'HTTP requests',
  'refusals that say when to try again': 'refusals with a retry delay',
  'try again after, ms': 'retry delay, ms',
  'refused within, ms': 'time to refusal, ms',
  'bound of the queue, ms': 'bound of queue wait, ms',
  'overload, partial answers will do': 'overload, partial results allowed',
  'partial answers': 'partial results',
  'cores of the service': 'service CPU, cores',
  'queue, median and most': 'queue length, median and max',
  'mates found': 'mated searches with a candidate',
  'sent late by, ms': 'send delay, max ms',
  'enrolled until searchable, ms': 'enrolment until searchable, ms',
  'sought at once': 'searched after enrolment',
  'found at once': 'found after enrolment',
  'searches beside': 'concurrent searches',
  'their share of what eight callers reach': 'concurrent searches, share of closed-loop rate',
  // replicas
  'enrolled until found by the other, ms': 'enrolment until searchable on the second service, ms',
  // index
  'built in, s': 'build, s',
  'built again, with the earlier one, s': 'incremental build, s',
  'verified in, s': 'verify, s',
  'sought, found first, found by the index': 'verified: searches, rank 1 by exact search, of these found by the index',
  'built by a process of, MB': 'resident memory of the build, MB',
  'started from the index in, s': 'start from the index, s',
  'started from the store in, s': 'start from the store, s',
  switching: 'reload',
  'without a switch': 'without a reload',
  'with a switch': 'with a reload',
  'switched within, s': 'reload, s',
  // import
  'references of a subject': 'references per subject',
  'imported in, s': 'import, s',
  'refused, as they should be': 'malformed records refused',
  'lost or doubled': 'lost or duplicated',
  'killed on the way': 'kills',
  'lost or doubled after kills': 'lost or duplicated after kills',
  'imported once more: enrolled, known': 'repeated import: enrolled, already enrolled',
  'index built in, s': 'index build, s',
  'references that were prepared already': 'references already encoded',
  'service started in, s': 'service start, s',
  // rewriting
  full: 'before expunging',
  'half gone': 'after expunging',
  rewritten: 'after rewriting',
  'a minute later': 'after release of spare memory',
  referencesLeft: 'references left',
  'main thread µs a reference': 'main thread, µs per reference',
  'longest pause ms': 'event loop delay, max ms',
  'p99 of pauses ms': 'event loop delay, p99 ms',
  // overhead
  p10: 'p10, ms',
  p10Ratio: 'p10, ratio',
  p50Ratio: 'p50, ratio',
  added: 'added to a search, ms',
  perSecond: 'searches/s',
  cpuMs: 'CPU, ms',
  mainMs: 'main thread, ms',
  databaseMs: 'database CPU, ms',
  throughputRatio: 'searches/s, ratio',
  cpuRatio: 'CPU with database, ratio',
  // soak, durability
  'failed outside of faults': 'failures without an injected fault',
  'answers checked': 'results checked',
  'enrolled and not found': 'enrolled, not returned',
  'expunged and found': 'expunged, returned',
  holes: 'gaps in the change sequence',
  torn: 'subjects with part of their references',
  notSearchable: 'enrolled, not searchable',
  unansweredButStored: 'stored, not acknowledged',
};

/** A result with printed words for keys, in the same order, at every depth. */
export function inWords(result: unknown): unknown {
  if (Array.isArray(result)) return result.map(inWords);
  if (typeof result !== 'object' || result === null) return result;
  return Object.fromEntries(Object.entries(result).map(([key, value]) => [wordsOf(key), inWords(value)]));
}

function wordsOf(key: string): string {
  return Object.hasOwn(WORDS, key) ? WORDS[key] : key;
}
