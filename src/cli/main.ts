#!/usr/bin/env node
/**
 * Entry point. Checks the runtime and the environment before it loads modules that need them. Older Node.js must be
 * able to read this file and its static imports. `ridgewatch` and `npm start` run it through ridgewatch.sh.
 */
import { launch, launcherEnvironment, launcherFile } from './launch.ts';
import { endWithParent } from './parent.ts';
import { relay } from './relay.ts';

const MIN_NODE = 24;

// By default it opens a debugger that every process of this machine can connect to.
process.on('SIGUSR1', () => undefined);
// Deprecation warnings are for developers. On standard error they would break the single document of --json.
process.noDeprecation = true;

const args = process.argv.slice(2);
const launcher = launch.byLauncher ? undefined : launcherFile();
if (Number(process.versions.node.split('.')[0]) < MIN_NODE) {
  if (launcher !== undefined) relay(launcher, args);
  else {
    process.stderr.write(
      `ridgewatch needs Node.js ${MIN_NODE}; this is ${process.versions.node}. The Node.js that belongs to it is missing: install it again with install scripts allowed (npm ci, or npm install -g).\n`,
    );
    process.exitCode = 1;
  }
} else {
  // Node.js has already obeyed the variables: start again without them. Its flags on the command line are obeyed.
  if (launcher !== undefined && launch.ignored.length > 0 && process.execArgv.length === 0) {
    process.removeAllListeners('warning');
    process.execve?.('/bin/sh', ['sh', launcher, ...args], launcherEnvironment(false));
  }
  if (launch.parentIsWrapper) endWithParent(launch.parent);
  const { run } = await import('./program.ts');
  await run(process.argv);
}
