import { readFileSync } from 'node:fs';

/** File descriptors for everything that is no client: the database, index files, the log, threads. */
const RESERVED = 128;
/** Fewer than that are no service: the reserve has to give way. */
const MIN_CONNECTIONS = 16;

export interface ConnectionShares {
  readonly grpc: number;
  readonly http: number;
  /** The limit, where it allows fewer connections than are wanted. */
  readonly cutBy: number | undefined;
}

/** How many files and sockets this process may have open; Infinity where that cannot be told. */
export function descriptorLimit(): number {
  try {
    const line = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return Number(line?.[1] ?? Infinity);
  } catch {
    return Infinity;
  }
}

/** What of the wanted connections the limit allows, and keeps descriptors for the rest of the service. */
export function shareConnections(
  wanted: { readonly grpc: number; readonly http: number },
  limit: number,
): ConnectionShares {
  const room = Math.max(MIN_CONNECTIONS, limit - RESERVED);
  // Orchestrators have to get through whatever is asked for over gRPC.
  const http = Math.min(wanted.http, Math.max(MIN_CONNECTIONS / 2, Math.floor(room / 4)));
  const grpc = Math.min(wanted.grpc, room - http);
  return { grpc, http, cutBy: grpc < wanted.grpc || http < wanted.http ? limit : undefined };
}
