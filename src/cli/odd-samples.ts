import type { SampleWarning } from '../api/generated/ridgewatch/v1/sample.ts';

/**
 * Tells people on standard error what is odd about the files that they sent; with --json it is in the document.
 * @param files - in the order of the samples made of them
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
