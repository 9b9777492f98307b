/**
 * A caller on its own thread, with its own connection: sends bytes to a method and polls `/livez` meanwhile. It has its
 * own thread so that neither the caller nor the service waits for the other's work.
 */
import { Agent, get } from 'node:http';
import { connect, type ClientHttp2Session } from 'node:http2';
import { parentPort, workerData } from 'node:worker_threads';

export interface Attack {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Concurrent calls. */
  readonly times: number;
  /** Number of connections for the calls; undefined for one connection per call. */
  readonly connections?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** The bytes are the whole body, not a single message. */
  readonly isBody?: boolean;
}

export interface Attacked {
  /** Names and values of the last call's trailers. */
  readonly trailers: Readonly<Record<string, string>>;
  /** Messages received in the last call. */
  readonly messages: readonly Uint8Array[];
  /** Number of calls per gRPC status; calls that were aborted have the status `none`. */
  readonly codes: Readonly<Record<string, number>>;
  /** The slowest answer of `/livez`, in milliseconds, and the number of requests. */
  readonly worstMs: number;
  readonly asked: number;
}

const { grpcPort, httpPort, authorization } = workerData as {
  grpcPort: number;
  httpPort: number;
  authorization?: string;
};
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

function livez(): Promise<number> {
  const started = performance.now();
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port: httpPort, path: '/livez', agent }, (response) => {
      response.resume();
      response.on('end', () => resolve(performance.now() - started));
    }).on('error', reject);
  });
}

interface Called {
  readonly trailers: Readonly<Record<string, string>>;
  readonly messages: readonly Uint8Array[];
}

function openSession(): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${grpcPort}`, { maxSessionMemory: 1000 });
  session.on('error', () => undefined);
  return session;
}

function call(session: ClientHttp2Session, { path, bytes, headers, isBody }: Attack): Promise<Called> {
  return new Promise<Called>((resolve) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...(authorization !== undefined && { authorization }),
      ...headers,
    });
    const trailers: Record<string, string> = {};
    const note = (more: object) => {
      for (const [name, value] of Object.entries(more)) trailers[name] = String(value);
    };
    const chunks: Buffer[] = [];
    stream.on('response', note);
    stream.on('trailers', note);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => undefined);
    stream.on('close', () => resolve({ trailers, messages: framesOf(Buffer.concat(chunks)) }));
    if (isBody !== true) {
      const frame = Buffer.alloc(5);
      frame.writeUInt32BE(bytes.length, 1);
      stream.write(frame);
    }
    stream.end(bytes);
  });
}

function framesOf(bytes: Buffer): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at + 5 <= bytes.length;) {
    const length = bytes.readUInt32BE(at + 1);
    frames.push(bytes.subarray(at + 5, at + 5 + length));
    at += 5 + length;
  }
  return frames;
}

async function attack(one: Attack): Promise<Attacked> {
  let [worstMs, asked, over] = [0, 0, false];
  await livez();
  const sessions = Array.from({ length: one.connections ?? one.times }, openSession);
  const spread = Array.from({ length: one.times }, (_, i) => sessions[i % sessions.length] ?? openSession());
  const calls = Promise.all(spread.map((session) => call(session, one))).finally(() =>
    sessions.forEach((session) => session.destroy()),
  );
  const end = () => void (over = true);
  calls.then(end, end);
  do {
    worstMs = Math.max(worstMs, await livez());
    asked++;
  } while (!over);
  const all = await calls;
  const codes: Record<string, number> = {};
  for (const { trailers } of all) {
    const code = trailers['grpc-status'] ?? 'none';
    codes[code] = (codes[code] ?? 0) + 1;
  }
  const last = all.at(-1) ?? { trailers: {}, messages: [] };
  return { ...last, codes, worstMs, asked };
}

parentPort?.on('message', (message: Attack) => {
  attack(message).then(
    (result) => parentPort?.postMessage(result),
    (error: unknown) => parentPort?.postMessage({ error: String(error) }),
  );
});
