/** Converts non-negative milliseconds to a google.protobuf.Duration. */
export function toDuration(ms: number): { seconds: number; nanos: number } {
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * 1e6);
  return nanos < 1e9 ? { seconds, nanos } : { seconds: seconds + 1, nanos: 0 };
}
