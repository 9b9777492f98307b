/** What a call does with the records of a class. */
export const RECORD_ACTIONS = [
  'search-record',
  'see-record',
  'change-record',
  'expunge-record',
  'disclose-scores',
  'disclose-explanations',
] as const;

export type RecordAction = (typeof RECORD_ACTIONS)[number];
