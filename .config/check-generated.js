// Lints the contract and fails when src/api/generated is not what the contract generates.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const committed = join(root, 'src/api/generated');
const scratch = mkdtempSync(join(tmpdir(), 'ridgewatch-proto-'));

function texts(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path.slice(folder.length), readFileSync(path, 'latin1')];
    }),
  );
}

try {
  const env = { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}` };
  execFileSync('buf', ['lint'], { cwd: join(root, 'proto'), stdio: 'inherit', env });
  cpSync(join(root, 'proto'), join(scratch, 'proto'), { recursive: true });
  const template = readFileSync(join(root, 'proto/buf.gen.yaml'), 'utf8');
  writeFileSync(join(scratch, 'proto/buf.gen.yaml'), template.replace('../src/api/generated', '../generated'));
  execFileSync('buf', ['generate'], { cwd: join(scratch, 'proto'), stdio: 'inherit', env });
  const descriptors = ['--as-file-descriptor-set', '--exclude-source-info', '-o', '../generated/descriptors.binpb'];
  execFileSync('buf', ['build', ...descriptors], { cwd: join(scratch, 'proto'), stdio: 'inherit', env });
  const fresh = texts(join(scratch, 'generated'));
  const present = texts(committed);
  const stale = [...new Set([...fresh.keys(), ...present.keys()])].filter(
    (name) => fresh.get(name) !== present.get(name),
  );
  if (stale.length > 0) {
    console.error(`src/api/generated is stale: ${stale.join(', ')}. Run: npm run proto:generate`);
    process.exitCode = 1;
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
