/** Loaded before a bench: usage errors end it with a sentence instead of a stack trace. */

/** A reader that closes its end, as `head` does, is no fault. */
export function outliveReaders(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE')
      process.stderr.write(`The output cannot be written (${error.code ?? error.message}).\n`);
    process.exit(error.code === 'EPIPE' ? 0 : 1);
  });
}

outliveReaders();
process.on('uncaughtException', (error: NodeJS.ErrnoException) => {
  const isUsage = error.code?.startsWith('ERR_PARSE_ARGS') === true;
  process.stderr.write(
    isUsage ? `${error.message}\nnpm run bench -- NAME --help lists the options.\n` : `${error.stack}\n`,
  );
  process.exit(isUsage ? 2 : 1);
});
