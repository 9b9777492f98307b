import { existsSync, readdirSync, statSync } from 'node:fs';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');

/** Tests run from the sources, but the kernels are compiled: stale builds would test older code. */
export function setup(): void {
  const modules = ['kernels.wasm', 'kernels-relaxed.wasm', 'likeness.wasm'];
  const kernels = modules.map((name) => resolve(root, 'dist/assembly', name));
  if (!kernels.every((file) => existsSync(file))) throw new Error('The kernels are not built. Run: npm run build');
  const built = Math.min(...kernels.map((file) => statSync(file).mtimeMs));
  const sources = readdirSync(resolve(root, 'assembly'), { recursive: true, withFileTypes: true });
  const newer = sources.filter(
    (entry) => entry.isFile() && statSync(resolve(entry.parentPath, entry.name)).mtimeMs > built,
  );
  if (newer.length > 0) throw new Error(`The kernels are older than ${newer[0]?.name ?? ''}. Run: npm run build:wasm`);
}
