import { readFileSync } from 'node:fs';

/** File descriptors for everything but clients: the database, index files, the log, threads. */
const RESERVED = 128;
/** A service needs at least this number; if necessary, the reserve shrinks. */
const MIN_CONNECTIONS = 16;

export interface ConnectionShares {
  readonly grpc: number;
  readonly http: number;
  /** The descriptor limit, if it allows fewer connections than configured. */
  readonly cutBy: number | undefined;
}

/** Maximum number of open files and sockets of this process; Infinity if unknown. */
export function descriptorLimit(): number {
  try {
    const line = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return Number(line?.[1] ?? Infinity);
  } catch {
    return Infinity;
  }
}

/** Reduces the configured connections to the limit, with a reserve for the rest of the service. */
export function shareConnections(
  wanted: { readonly grpc: number; readonly http: number },
  limit: number,
): ConnectionShares {
  const room = Math.max(MIN_CONNECTIONS, limit - RESERVED);
  // HTTP has its own share: probes of orchestrators must get through under any gRPC load.
  const http = Math.min(wanted.http, Math.max(MIN_CONNECTIONS / 2, Math.floor(room / 4)));
  const grpc = Math.min(wanted.grpc, room - http);
  return { grpc, http, cutBy: grpc < wanted.grpc || http < wanted.http ? limit : undefined };
}
