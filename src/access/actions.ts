/**
 * What a client may ask for. Every RPC and every HTTP route names the action that it takes; policies permit actions.
 */
export const ACTIONS = [
  'identify',
  'verify',
  'compare',
  'enroll',
  'update',
  'expunge',
  'propose-expunge',
  'approve-expunge',
  'list-expunge-proposals',
  'read-history',
  'get-subject',
  'list-subjects',
  'find-duplicates',
  'read-status',
  'hash-content',
  'reload-index',
  'read-metrics',
  'read-audit',
  'watch-hits',
  'open-case',
  'read-cases',
  'review-case',
  'decide-conflict',
  'report-outcome',
  'read-whole-audit',
  'read-clients',
  'manage-clients',
] as const;

export type Action = (typeof ACTIONS)[number];

/** Purposes of a search or comparison, as policies name them; `none`: the action has no purpose. */
export const PURPOSES = ['none', 'border-check', 'investigation', 'application', 'test'] as const;

export type Purpose = (typeof PURPOSES)[number];
