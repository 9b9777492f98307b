import cliProgress from 'cli-progress';

/** Options of every command that prints. */
interface OutputOptions {
  readonly json?: boolean | undefined;
}

/** Prints the answer as text, or with --json as one document. */
export function printResult({ json }: OutputOptions, document: object, text: string): void {
  process.stdout.write(`${json === true ? JSON.stringify(document) : text}\n`);
}

/** A progress bar on standard error, drawn on terminals only. */
export function progressBar(format: string, { json }: OutputOptions): cliProgress.SingleBar {
  const stream = process.stderr;
  const bar = new cliProgress.SingleBar({ stream, format }, cliProgress.Presets.shades_classic);
  if (json === true || !stream.isTTY) bar.start = () => undefined;
  return bar;
}
