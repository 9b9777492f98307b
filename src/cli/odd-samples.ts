import type { SampleWarning } from '../contract/generated/ridgewatch/v1/sample.ts';

/**
 * Prints warnings about the sent files on standard error. With --json the document contains them.
 * @param files - in the order of their samples
 */
export function tellOdd(
  files: readonly string[],
  warnings: readonly SampleWarning[],
  { json }: { readonly json?: boolean | undefined },
): void {
  if (json === true) return;
  for (const { sampleIndex, byteOffset, message } of warnings) {
    const file = files[sampleIndex] ?? `sample ${sampleIndex}`;
    process.stderr.write(`Warning: ${file}: ${message.replace(/\.$/, '')} (byte ${byteOffset}).\n`);
  }
}
