#!/usr/bin/env node
/**
 * Entry of the program. Looks at the runtime and the environment before loading anything that needs them; this file
 * and what it imports at once are read by older Node.js, too. `ridgewatch` and `npm start` come here by ridgewatch.sh.
 */
import { launch, launcherEnvironment, launcherFile } from './launch.ts';
import { endWithParent } from './parent.ts';
import { relay } from './relay.ts';

const MIN_NODE = 24;

// Otherwise it opens a debugger, to which every process of this machine could talk.
process.on('SIGUSR1', () => undefined);
// They are for whoever changes this program. On standard error they would stand beside the one document of --json.
process.noDeprecation = true;

const args = process.argv.slice(2);
const launcher = launch.byLauncher ? undefined : launcherFile();
if (Number(process.versions.node.split('.')[0]) < MIN_NODE) {
  if (launcher !== undefined) relay(launcher, args);
  else {
    process.stderr.write(
      `ridgewatch needs Node.js ${MIN_NODE}; this is ${process.versions.node}. The one that it brings along is not there: install it once more with install scripts allowed (npm ci, or npm install -g).\n`,
    );
    process.exitCode = 1;
  }
} else {
  // Node.js has obeyed them before it came here: once more, without. Its own flags on the command line are obeyed.
  if (launcher !== undefined && launch.ignored.length > 0 && process.execArgv.length === 0) {
    process.removeAllListeners('warning');
    process.execve?.('/bin/sh', ['sh', launcher, ...args], launcherEnvironment(false));
  }
  if (launch.parentIsWrapper) endWithParent(launch.parent);
  const { run } = await import('./program.ts');
  await run(process.argv);
}
