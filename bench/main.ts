/**
 * `npm run bench -- NAME [options]`: runs one suite, bench/NAME/main.ts, as a program of its own. --json prints one
 * document: the machine, the arguments, the seeds, the result. --out FILE also writes it to a file. --seed N adds N to
 * every seed.
 *
 * `npm run bench` alone is `quick`, the short run; `nightly` is the long one.
 */
import { spawnSync } from 'node:child_process';
import { BENCHES, programOf } from './harness/benches.ts';
import { helpOf } from './harness/help.ts';
import { outliveReaders } from './harness/usage-errors.ts';
import { keep } from './harness/document.ts';
import { describeMachine, machineLine } from './harness/machine.ts';
import { BENCH_FLAGS, runBench } from './harness/run.ts';
import { SEED_VARIABLE } from './harness/seeds.ts';

outliveReaders();
const [name = 'quick', ...given] = process.argv.slice(2);
const wantsHelp = ['help', '--help', '-h'];
if (!Object.hasOwn(BENCHES, name)) {
  const lines = Object.entries(BENCHES).map(([bench, { what }]) => `  ${bench.padEnd(20)}${what}`);
  const list = `npm run bench -- NAME [options], with one of:\n\n${lines.join('\n')}\n\nnpm run bench -- NAME --help describes one.`;
  if (wantsHelp.includes(name)) console.log(list);
  else console.error(list);
  process.exit(wantsHelp.includes(name) ? 0 : 2);
}
if (given.some((argument) => wantsHelp.includes(argument))) {
  console.log(helpOf(name, BENCHES[name].what));
  process.exit(0);
}
const [seed, unseeded] = taken(given, '--seed');
if (seed !== undefined) process.env[SEED_VARIABLE] = seed;
const [out, unkept] = taken(unseeded, '--out');
const isBare = BENCHES[name].isBare === true;
// Benches that write a file of their own parse --out themselves.
const rest = isBare ? unseeded : unkept;
if (isBare || (!rest.includes('--json') && out === undefined)) {
  if (!isBare) console.error(machineLine(describeMachine()));
  const { status } = spawnSync(process.execPath, [...BENCH_FLAGS, programOf(name), ...rest], {
    stdio: 'inherit',
  });
  process.exitCode = status ?? 1;
} else {
  const { document, status } = await runBench(
    name,
    rest.filter((argument) => argument !== '--json'),
    describeMachine(),
  );
  console.log(JSON.stringify(document));
  if (out !== undefined) keep(document, out);
  process.exitCode = status;
}

/** The value of an option, and the arguments without option and value. */
function taken(args: readonly string[], option: string): [string | undefined, readonly string[]] {
  const at = args.indexOf(option);
  return at === -1 ? [undefined, args] : [args[at + 1] ?? '', [...args.slice(0, at), ...args.slice(at + 2)]];
}
