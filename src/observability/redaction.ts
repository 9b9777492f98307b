/**
 * Removes data that must never be logged: templates, names, ids of subjects, scores. pino's own redaction only covers
 * paths of a fixed depth; this walks logged values at any depth.
 */

/** Names of fields whose values are dropped, compared in lower case without separators. */
const FORBIDDEN = new Set(
  [
    [
      'data',
      'template',
      'templates',
      'record',
      'records',
      'values',
      'embedding',
      'minutiae',
      'packed',
      'samples',
      'probe',
      'probes',
      'explanation',
      'explanations',
      'explained',
      'pairs',
      'alignment',
      'terms',
      'points',
    ],
    [
      'subjectid',
      'subject',
      'subjectids',
      'externalid',
      'referenceid',
      'referenceids',
      'references',
      'candidates',
      'candidate',
    ],
    [
      'score',
      'scores',
      'log10fmr',
      'fmr',
      'fpir',
      'rank',
      'caveats',
      'name',
      'names',
      'pagetoken',
      'request',
      'response',
    ],
    [
      'password',
      'databaseurl',
      'databaseownerurl',
      'ridgewatchdatabaseownerurl',
      'url',
      'connectionstring',
      'key',
      'digest',
    ],
  ].flat(),
);
const DEEPEST = 6;
const REDACTED = '[redacted]';

/** A copy that may be logged. Never throws. */
export function redact(value: unknown, depth = 0): unknown {
  try {
    return redactValue(value, depth);
  } catch {
    return '[unreadable]';
  }
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function' || typeof value === 'symbol') return `[${typeof value}]`;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Error) return describeError(value);
  if (ArrayBuffer.isView(value)) return `[binary ${value.byteLength} bytes]`;
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return `[binary ${value.byteLength} bytes]`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? '[no date]' : value.toISOString();
  // The service logs nothing deeper. The bound also ends cycles.
  if (depth >= DEEPEST) return '[too deep]';
  if (value instanceof Map)
    return redactEntries(
      [...value].map(([key, item]) => [String(key), item]),
      depth,
    );
  if (value instanceof Set) return `[set of ${value.size}]`;
  if (Array.isArray(value)) return redactArray(value, depth);
  return redactEntries(
    Object.keys(value).map((key) => [key, isForbidden(key) ? REDACTED : (value as Record<string, unknown>)[key]]),
    depth,
  );
}

function redactArray(values: readonly unknown[], depth: number): unknown {
  // A list of numbers is an embedding, or scores, or minutiae.
  if (values.length > 0 && values.every((item) => typeof item === 'number')) return `[${values.length} numbers]`;
  return values.slice(0, 100).map((item) => redact(item, depth + 1));
}

function redactEntries(entries: readonly (readonly [string, unknown])[], depth: number): Record<string, unknown> {
  return Object.fromEntries(entries.map(([key, item]) => [key, isForbidden(key) ? REDACTED : redact(item, depth + 1)]));
}

/** Whether values under this name may not be logged. */
export function isForbidden(key: string): boolean {
  return FORBIDDEN.has(key.toLowerCase().replaceAll(/[^a-z0-9]/g, ''));
}

/**
 * An error as it may be logged. The messages of Failures are made for the log. The message of any other error may quote
 * data (a row, a request): only its kind and the places in our code are kept.
 */
export function describeError(error: Error): Record<string, unknown> {
  const own = error.name === 'Failure' || error.name === 'TemplateError';
  const code: unknown = (error as { code?: unknown }).code;
  const reason: unknown = (error as { reason?: unknown }).reason;
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return {
    type: error.name,
    ...(own && { message: error.message }),
    ...(typeof code === 'string' && { code }),
    ...(own && typeof reason === 'string' && { reason }),
    stack: frames.slice(0, 12).map((line) => line.trim()),
  };
}
