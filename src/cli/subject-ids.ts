import { InvalidArgumentError } from 'commander';

/** The smallest subject id of a time: ids begin with the milliseconds since 1970 (RFC 9562, UUID version 7). */
export function firstIdSince(text: string): string {
  const milliseconds = Date.parse(text);
  if (!/^\d{4}-\d{2}-\d{2}/.test(text) || !(milliseconds >= 0))
    throw new InvalidArgumentError('It must be a time such as 2026-03-01T00:00:00Z.');
  const hex = milliseconds.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}
