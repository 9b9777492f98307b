/**
 * A caller on a thread of its own, with a connection of its own: sends bytes to a method, and meanwhile asks `/livez`
 * again and again. Told apart from the service, so that neither waits for the other's work.
 */
import { Agent, get } from 'node:http';
import { connect } from 'node:http2';
import { parentPort, workerData } from 'node:worker_threads';

export interface Attack {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Calls at once. */
  readonly times: number;
}

export interface Attacked {
  /** Names and values of the last call's trailers. */
  readonly trailers: Readonly<Record<string, string>>;
  /** Messages that came back in the last call. */
  readonly messages: readonly Uint8Array[];
  /** The longest that `/livez` took, in milliseconds, and how often it was asked. */
  readonly worstMs: number;
  readonly asked: number;
}

const { grpcPort, httpPort } = workerData as { grpcPort: number; httpPort: number };
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

/** Over a connection of its own, as another caller would. */
function call({ path, bytes }: Attack): Promise<Omit<Attacked, 'worstMs' | 'asked'>> {
  const session = connect(`http://127.0.0.1:${grpcPort}`);
  return new Promise<Omit<Attacked, 'worstMs' | 'asked'>>((resolve, reject) => {
    session.on('error', reject);
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const trailers: Record<string, string> = {};
    const note = (headers: object) => {
      for (const [name, value] of Object.entries(headers)) trailers[name] = String(value);
    };
    const chunks: Buffer[] = [];
    stream.on('response', note);
    stream.on('trailers', note);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('close', () => resolve({ trailers, messages: framesOf(Buffer.concat(chunks)) }));
    const frame = Buffer.alloc(5);
    frame.writeUInt32BE(bytes.length, 1);
    stream.write(frame);
    stream.end(bytes);
  }).finally(() => session.destroy());
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
  const calls = Promise.all(Array.from({ length: one.times }, () => call(one)));
  const end = () => void (over = true);
  calls.then(end, end);
  do {
    worstMs = Math.max(worstMs, await livez());
    asked++;
  } while (!over);
  const last = (await calls).at(-1) ?? { trailers: {}, messages: [] };
  return { ...last, worstMs, asked };
}

parentPort?.on('message', (message: Attack) => {
  attack(message).then(
    (result) => parentPort?.postMessage(result),
    (error: unknown) => parentPort?.postMessage({ error: String(error) }),
  );
});
