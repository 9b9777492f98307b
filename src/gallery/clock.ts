/** Tells the instant in milliseconds since 1970. */
export type Clock = () => number;

/**
 * The machine's clock, and the one place where it is read to tell who has expired. It may jump, both ways: so nothing
 * that it says is kept, each search compares with its own instant. Waits are measured with `performance.now`.
 */
export const wallClock: Clock = () => Date.now();
