/** Exit codes; `ridgewatch --help` prints this table. */
export const EXIT = {
  ok: 0,
  failed: 1,
  refused: 2,
  candidates: 3,
  partlyRefused: 4,
  notComparable: 5,
  notReady: 6,
  damaged: 7,
  nothingSearched: 8,
  tampered: 9,
} as const;

export const EXIT_TABLE = `Exit codes:
  0  done
  1  the service could not be reached, or failed
  2  wrong usage, or the input was refused
  3  identify, dedup, with --exit-code: there is at least one candidate, or pair, to review
  4  enroll, import: some records were refused; export, index build, keys rotate: damaged
     references were skipped; backup: it contains damaged references, or lacks lost ones
  5  compare, identify, verify: too few minutiae to compare
  6  status: the service is not ready
  7  store check: stored data is damaged
  8  identify: nothing was in scope and nothing was searched; this says nothing about the person
  9  audit verify: records are not what was recorded

128 plus a number: ended by that signal`;
