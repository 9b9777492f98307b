/** Everything that pages name exists: files, metrics, settings, commands, benches, reasons, log lines. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { BENCHES, programOf } from '../../bench/harness/benches.ts';
import { createProgram } from '../../src/cli/program.ts';
import { Metrics, type ServiceFigures } from '../../src/observability/metrics.ts';
import { anchorOf, pages, root, shellLines, sourceText } from './pages.ts';

const FIGURES: ServiceFigures = {
  subjects: 0,
  references: [],
  galleryVersion: 0,
  index: { sequence: 0, isRefusing: false },
  searchesUnderWay: 0,
  searchesWaiting: 0,
  ready: true,
  store: { isReachable: true, isWritable: true },
  damagedReferences: { count: 0, ids: [] },
  damagedChanges: 0,
  damagedClients: 0,
  audit: { searches: 0, candidates: 0, missed: 0 },
  auditOf: [],
  compactions: 0,
  lists: { targetHitRate: 0.999, kinds: [] },
  graphs: [],
  certificates: [],
  auditTrail: { spooledBytes: 0, refused: 0 },
};

/** Wrong names, each with its page; empty if all are right. */
function wrong(namesOf: (page: (typeof pages)[number]) => Iterable<string>, isRight: (name: string) => boolean) {
  return pages.flatMap((page) =>
    [...new Set(namesOf(page))].filter((name) => !isRight(name)).map((name) => `${page.name}: ${name}`),
  );
}

describe('the documentation pages', () => {
  it('name metrics of the service, with labels they have', async () => {
    const { body } = await new Metrics(() => FIGURES, { version: '', model: '' }).render();
    const kinds = new Map([...body.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, kind]) => [name, kind]));
    const isThere = (name: string) =>
      kinds.has(name) || kinds.get(name.replace(/_(bucket|sum|count)$/, '')) === 'histogram';
    // The tail of a longer name, such as a database's, is not a metric.
    const named = pages.flatMap(({ text }) => [
      ...text.matchAll(/(?<![\w./-])(ridgewatch|process|nodejs)_[a-z0-9_]+/g),
    ]);
    expect(named.length).toBeGreaterThan(20);
    const NOT_METRICS = new Set(['ridgewatch_client', 'ridgewatch_owner', 'ridgewatch_service']);
    expect(
      wrong(
        ({ text }) => [...text.matchAll(/(?<![\w./-])(?:ridgewatch|process|nodejs)_[a-z0-9_]+/g)].map(([name]) => name),
        (name) => isThere(name) || NOT_METRICS.has(name),
      ),
    ).toEqual([]);
    const metrics = readFileSync(join(root, 'src/observability/metrics.ts'), 'utf8');
    expect(
      wrong(
        ({ text }) =>
          [...text.matchAll(/ridgewatch_[a-z_]+\{([^}]*)\}/g)].flatMap(([, labels]) =>
            (labels ?? '').split(',').map((label) => label.split(/=/)[0] ?? ''),
          ),
        (label) => metrics.includes(`'${label}'`),
      ),
    ).toEqual([]);
  });

  it('link to existing files and headings', () => {
    const broken = pages.flatMap((page) =>
      [...page.text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']) => {
        if (/^(https?|mailto):/.test(target)) return [];
        const [path = '', anchor] = target.split('#');
        const file = path === '' ? page.name : join(dirname(page.name), path);
        if (!existsSync(join(root, file))) return [`${page.name}: ${target}`];
        if (anchor === undefined) return [];
        const headings = [...readFileSync(join(root, file), 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
          anchorOf(heading),
        );
        return headings.includes(anchor) ? [] : [`${page.name}: ${target}`];
      }),
    );
    expect(broken).toEqual([]);
  });

  it('can be reached from README and from the architecture page', () => {
    const linked = (name: string) => pages.find((page) => page.name === name)?.text ?? '';
    for (const page of ['examples/README', 'operating', 'accuracy', 'kernels', 'tunables', 'security']) {
      expect(linked('README.md')).toContain(`(docs/${page}.md)`);
      expect(linked('docs/architecture.md')).toContain(`(${page}.md)`);
    }
  });

  it('name existing settings', () => {
    const sources = sourceText('src') + sourceText('tests') + sourceText('bench');
    expect(
      wrong(
        ({ text }) => [...text.matchAll(/\bRIDGEWATCH_[A-Z_]*[A-Z]\b/g)].map(([name]) => name),
        (name) => new RegExp(`\\b${name}\\b`).test(sources),
      ),
    ).toEqual([]);
  });

  it('show existing commands, with options they have', () => {
    const lines = pages.flatMap((page) =>
      shellLines(page).flatMap((line) => commandsOf(line).map((words) => ({ page, words }))),
    );
    expect(lines.length).toBeGreaterThan(40);
    expect(
      lines.flatMap(({ page, words }) => faultsOf(words).map((fault) => `${page.name}: ${words.join(' ')}: ${fault}`)),
    ).toEqual([]);
  });

  it('show existing benches, with options they have', () => {
    const shown = pages.flatMap((page) =>
      [...page.text.matchAll(/npm run bench -- ([a-z0-9-]+)([^`\n|]*)/g)].map(([, name = '', rest = '']) => ({
        page,
        name,
        rest,
      })),
    );
    expect(shown.length).toBeGreaterThan(12);
    const faults = shown.flatMap(({ page, name, rest }) => {
      if (name === 'help') return [];
      if (!Object.hasOwn(BENCHES, name) || !existsSync(programOf(name))) return [`${page.name}: ${name}`];
      const source = sourceText(`bench/${name}`) + readFileSync(join(root, 'bench/main.ts'), 'utf8');
      const options = [...rest.replace(/ #.*$/, '').matchAll(/--([a-z-]+)/g)].map(([, option = '']) => option);
      return options.filter((option) => !source.includes(option)).map((option) => `${page.name}: ${name} --${option}`);
    });
    expect(faults).toEqual([]);
  });

  it('name reasons of docs/errors.md, and values of the contract', () => {
    const known = [
      'docs/errors.md',
      'docs/configuration.md',
      'proto/ridgewatch/v1/sample.proto',
      'proto/ridgewatch/v1/identification.proto',
      'proto/ridgewatch/v1/gallery.proto',
    ]
      .map((name) => readFileSync(join(root, name), 'utf8'))
      .join('\n');
    const words = new Set((known + sourceText('src') + sourceText('assembly')).match(/\b[A-Z][A-Z0-9_]+\b/g));
    expect(
      wrong(
        ({ text }) => [...text.matchAll(/(?<![\w$.-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w])/g)].map(([name]) => name),
        (name) => name.startsWith('NODE_') || words.has(name),
      ),
    ).toEqual([]);
  });

  it('quote log lines and fields as the service writes them', () => {
    const text = pages.find(({ name }) => name === 'docs/operating.md')?.text ?? '';
    const [, afterLog = ''] = text.split('## The log');
    const [fields = '', lines = ''] = afterLog.split('Lines to know:');
    const sources = sourceText('src');
    const quoted = (part: string) =>
      part
        .split('\n')
        .filter((line) => line.startsWith('| `'))
        .flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, word = '']) => word));
    expect(quoted(lines).length).toBeGreaterThan(8);
    expect(quoted(lines).filter((line) => !sources.includes(`'${line}'`))).toEqual([]);
    // Fields that the logger adds to each line.
    const OF_THE_LOG = new Set([
      'level',
      'time',
      'msg',
      'method',
      'code',
      'reason',
      'surface',
      'comparisons',
      'purpose',
      'sqlstate',
      'err',
    ]);
    expect(quoted(fields).length).toBeGreaterThan(15);
    expect(
      quoted(fields).filter((field) => !OF_THE_LOG.has(field) && !new RegExp(`\\b${field}:`).test(sources)),
    ).toEqual([]);
  });
});

/** The calls of `ridgewatch` in a shell line, each as its words. */
function commandsOf(line: string): string[][] {
  return line.split(/\s*(?:&&|\||;)\s*/).flatMap((part) => {
    const words = part.split(/\s+/);
    const at = words.findIndex((word) => word === 'ridgewatch');
    const isCall = at >= 0 && words.slice(0, at).every((word) => word === 'npx' || /^[A-Z_]+=/.test(word));
    return isCall ? [words.slice(at + 1)] : [];
  });
}

/** Faults of a command: subcommands or options that do not exist. */
function faultsOf(words: readonly string[]): string[] {
  let command: Command = createProgram();
  let rest = [...words];
  while (rest[0] !== undefined) {
    const next = command.commands.find((one) => one.name() === rest[0]);
    if (next === undefined) break;
    command = next;
    rest = rest.slice(1);
  }
  if (command.commands.length > 0 && rest[0] !== '--help' && rest[0] !== '…')
    return [`there is no command ${rest[0] ?? ''}`];
  const known = new Set(['--help', ...command.options.map(({ long }) => long)]);
  return rest
    .filter((word) => word.startsWith('--') && !known.has(word.replace(/=.*$/, '')))
    .map((word) => `there is no option ${word}`);
}
