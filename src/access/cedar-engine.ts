import { createRequire } from 'node:module';
import type * as Cedar from '@cedar-policy/cedar-wasm/nodejs';

export type CedarModule = typeof Cedar;

/**
 * A new instance of Cedar with memory of its own, in some milliseconds. Cedar keeps parsed policies until its instance
 * goes, and an instance in which a call trapped (for example on an expression that is nested too deeply) cannot be
 * trusted any more: so every version of the policies has its own, and an attempt that fails leaves nothing behind.
 */
export function newCedar(): CedarModule {
  // A module's instance is a global of the module: it is loaded anew, and forgotten by the loader.
  const require = createRequire(import.meta.url);
  const path = require.resolve('@cedar-policy/cedar-wasm/nodejs');
  const { cache } = require;
  delete cache[path];
  const cedar = require(path) as CedarModule;
  delete cache[path];
  return cedar;
}
