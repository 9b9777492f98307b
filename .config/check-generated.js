// Lints the contract and fails when src/contract/generated is not what the contract generates.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buf, committed, generate, root } from './generate-contract.js';

const scratch = mkdtempSync(join(tmpdir(), 'ridgewatch-generated-'));

function contents(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path.slice(folder.length), readFileSync(path, 'base64')];
    }),
  );
}

try {
  buf(join(root, 'proto'), 'lint');
  generate(scratch);
  const fresh = contents(scratch);
  const present = contents(committed);
  const stale = [...new Set([...fresh.keys(), ...present.keys()])].filter(
    (name) => fresh.get(name) !== present.get(name),
  );
  if (stale.length > 0) {
    console.error(`src/contract/generated is stale: ${stale.join(', ')}. Run: npm run proto:generate`);
    process.exitCode = 1;
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
