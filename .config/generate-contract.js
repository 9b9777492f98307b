// Writes src/contract/generated: the code that the contract generates, and its compiled form for reflection.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(import.meta.dirname, '..');
export const committed = join(root, 'src/contract/generated');

/** Contracts of the standard services that the server also offers: folder, and names in it. */
const STANDARD = [
  ['node_modules/grpc-health-check/proto/health/v1/health.proto', 'grpc/health/v1/health.proto'],
  [
    'node_modules/@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto',
    'grpc/reflection/v1/reflection.proto',
  ],
  [
    'node_modules/@grpc/reflection/build/proto/grpc/reflection/v1alpha/reflection.proto',
    'grpc/reflection/v1alpha/reflection.proto',
  ],
];

export function buf(folder, ...parameters) {
  const env = { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}` };
  execFileSync('buf', parameters, { cwd: folder, stdio: 'inherit', env });
}

/** Generates everything into a folder, after emptying it. */
export function generate(into) {
  const scratch = mkdtempSync(join(tmpdir(), 'ridgewatch-proto-'));
  try {
    const proto = join(scratch, 'proto');
    cpSync(join(root, 'proto'), proto, { recursive: true });
    const template = readFileSync(join(proto, 'buf.gen.yaml'), 'utf8');
    writeFileSync(join(proto, 'buf.gen.yaml'), template.replace('../src/contract/generated', into));
    buf(proto, 'generate');
    // Only now, because no code is generated for these.
    for (const [file, name] of STANDARD) cpSync(join(root, file), join(proto, name));
    buf(proto, 'build', '--as-file-descriptor-set', '--exclude-source-info', '-o', join(into, 'descriptors.binpb'));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) generate(committed);
