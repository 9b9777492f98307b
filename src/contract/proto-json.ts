/** JSON answers with the snake-case field names of the contract. */

/** Converts all keys of a message's JSON form from camel case to snake case. */
export function toProtoJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toProtoJson);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [toSnake(key), toProtoJson(item)]));
}

function toSnake(key: string): string {
  return key.replace(/([a-z0-9])([A-Z])/g, (_, before: string, letter: string) => `${before}_${letter.toLowerCase()}`);
}
