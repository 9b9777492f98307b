import cliProgress from 'cli-progress';

/** What every command that prints has. */
interface OutputOptions {
  readonly json?: boolean | undefined;
}

/** Prints the answer: for people, or with --json as one document. */
export function printResult({ json }: OutputOptions, document: object, text: string): void {
  process.stdout.write(`${json === true ? JSON.stringify(document) : text}\n`);
}

/** A bar on standard error: drawn for people who look at a terminal only. */
export function progressBar(format: string, { json }: OutputOptions): cliProgress.SingleBar {
  const stream = process.stderr;
  const bar = new cliProgress.SingleBar({ stream, format }, cliProgress.Presets.shades_classic);
  if (json === true || !stream.isTTY) bar.start = () => undefined;
  return bar;
}
