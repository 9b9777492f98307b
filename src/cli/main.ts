#!/usr/bin/env node
/** Entry of the `ridgewatch` command. Looks at the runtime before loading anything that needs it. */
const LEAST_NODE = 24;

if (Number(process.versions.node.split('.')[0]) < LEAST_NODE) {
  process.stderr.write(
    `ridgewatch needs Node.js ${LEAST_NODE}, which it brings along: start it with "npx ridgewatch …" or an npm script; this is ${process.versions.node}.\n`,
  );
  process.exitCode = 1;
} else {
  const { run } = await import('./program.ts');
  await run(process.argv);
}

export {};
