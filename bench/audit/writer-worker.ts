/**
 * Records searches until it is killed, and prints the id of each request whose record was acknowledged:
 * writer-worker.ts URL DATA_DIR NAME
 */
import { writeSync } from 'node:fs';
import { Keys } from '../../src/security/keys.ts';
import { searchEntry } from './entries.ts';
import { openTrail } from './trail.ts';

const CALLERS = 4;
const [url = '', dataDir = '', name = ''] = process.argv.slice(2);
const keys = new Keys({ keyFile: undefined, dataDir });
await keys.open(false);
const trail = await openTrail(url, dataDir, keys);
let next = 0;
const caller = async () => {
  for (;;) {
    const requestId = `${name}-${next++}`;
    await trail.record(searchEntry(requestId));
    // In one write: what was acknowledged before the kill is known.
    writeSync(1, `${requestId}\n`);
  }
};
await Promise.all(Array.from({ length: CALLERS }, caller));
