import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';

const module = resolve(import.meta.dirname, '../../src/cli/stop-signals.ts');

/** A process in which `body` uses `signals`. */
async function listening(body: string) {
  const code = `import { StopSignals, exitCodeOf } from ${JSON.stringify(module)};
    const signals = new StopSignals((signal) => console.log('nothing', signal));
    const alive = setInterval(() => undefined, 1000);
    ${body}
    console.log('ready');`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  await once(reader, 'line');
  return { child, lines, reader };
}

/** On Linux. Omitted are signals that Node.js reserves, that stop or continue a process, and that report faults. */
const OTHERS =
  /^SIG(KILL|STOP|TSTP|TTIN|TTOU|CONT|CHLD|WINCH|URG|PIPE|XFSZ|USR1|USR2|SEGV|BUS|ILL|FPE|ABRT|IOT|TRAP|SYS|POLL|UNUSED|INFO|BREAK)$/;
const ending = Object.keys(constants.signals).filter((name) => !OTHERS.test(name)) as NodeJS.Signals[];

it('treats every other signal that would end a process as a request to stop', async () => {
  expect(ending.length).toBeGreaterThan(7);
  const asked = `signals.asked.addEventListener('abort', () => { console.log(signals.asked.reason); clearInterval(alive); });`;
  await Promise.all(
    ending.map(async (signal) => {
      const { child, lines } = await listening(asked);
      child.kill(signal);
      await once(child, 'close');
      expect([signal, child.exitCode, lines.at(-1)]).toEqual([signal, 0, signal]);
    }),
  );
});

it('ignores SIGUSR1 and SIGUSR2', async () => {
  const { child, lines, reader } = await listening(`signals.asked.addEventListener('abort', () => process.exit(9));`);
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) {
    child.kill(signal);
    await once(reader, 'line');
    expect(lines.at(-1)).toBe(`nothing ${signal}`);
  }
  child.kill('SIGTERM');
  await once(child, 'close');
  expect(child.exitCode).toBe(9);
});

it('counts simultaneous signals as one request; the second hurries, the third exits at once', async () => {
  const { child, lines, reader } = await listening(
    `signals.asked.addEventListener('abort', () => console.log('asked'));
     signals.hurried.addEventListener('abort', () => console.log('hurried'));
     // Time passes as the test says.
     const now = performance.now.bind(performance);
     let ahead = 0;
     performance.now = () => now() + ahead;
     process.on('SIGUSR2', () => (ahead += 5000));
     process.on('SIGTERM', () => console.log('nothing more'));`,
  );
  const until = async (text: string, times = 1) => {
    while (lines.filter((line) => line === text).length < times) await once(reader, 'line');
  };
  let passed = 0;
  const later = () => {
    child.kill('SIGUSR2');
    return until('nothing SIGUSR2', ++passed);
  };
  child.kill('SIGINT');
  await until('asked');
  child.kill('SIGINT');
  child.kill('SIGTERM');
  // The system may reorder signals: wait for this one before time passes.
  await until('nothing more');
  await later();
  child.kill('SIGINT');
  await until('hurried');
  expect(lines.filter((line) => !line.startsWith('nothing'))).toEqual(['ready', 'asked', 'hurried']);
  await later();
  child.kill('SIGTERM');
  await once(child, 'close');
  expect(child.exitCode).toBe(128 + constants.signals.SIGTERM);
});
