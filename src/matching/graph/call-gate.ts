/**
 * hnswlib-node aborts the process when its thread is terminated in the middle of a call. A process that exits terminates
 * its threads, whatever they do. So calls pass a gate in shared memory, which is closed before.
 */
const OPEN = 0;
const INSIDE = 1;
const CLOSING = 2;
const CLOSED = 3;
/** Maximum wait for the call in hand. Most take milliseconds; writing a large graph takes seconds. */
const MAX_WAIT_MS = 5000;

/** Gates of the threads of this process. */
const gates = new Set<Int32Array>();

/** Makes a gate that is closed when the process exits. To be given to the thread. */
export function makeGate(): Int32Array<SharedArrayBuffer> {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  if (gates.size === 0) process.on('exit', closeGates);
  gates.add(gate);
  return gate;
}

/** To be called when the thread has ended. */
export function forgetGate(gate: Int32Array): void {
  gates.delete(gate);
  if (gates.size === 0) process.off('exit', closeGates);
}

/** The thread's side: does work that must not be interrupted. Once the gate is closed, it waits for the thread's end. */
export async function throughGate<T>(gate: Int32Array, work: () => T | Promise<T>): Promise<T> {
  enter(gate);
  try {
    return await work();
  } finally {
    leave(gate);
  }
}

function enter(gate: Int32Array): void {
  if (Atomics.compareExchange(gate, 0, OPEN, INSIDE) !== OPEN) Atomics.wait(gate, 0, CLOSED);
}

function leave(gate: Int32Array): void {
  if (Atomics.compareExchange(gate, 0, INSIDE, OPEN) === INSIDE) return;
  Atomics.store(gate, 0, CLOSED);
  Atomics.notify(gate, 0);
}

function closeGates(): void {
  for (const gate of gates) close(gate);
}

function close(gate: Int32Array): void {
  for (;;) {
    if (Atomics.compareExchange(gate, 0, OPEN, CLOSED) === OPEN) return;
    if (Atomics.compareExchange(gate, 0, INSIDE, CLOSING) !== INSIDE) continue;
    Atomics.wait(gate, 0, CLOSING, MAX_WAIT_MS);
    return;
  }
}
