/** Returns the instant in ms since 1970. */
export type Clock = () => number;

/**
 * The machine's clock, read only here to decide about limits in time. It may jump both ways. Its readings are therefore not
 * kept, and each search uses its own instant. Waits are measured with `performance.now`.
 */
export const wallClock: Clock = () => Date.now();
