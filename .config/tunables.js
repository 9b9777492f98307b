// Writes docs/tunables.md: the named numbers of the sources with their comments. `--check` only compares.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import prettier from 'prettier';
import ts from 'typescript';

const root = resolve(import.meta.dirname, '..');
export const page = join(root, 'docs/tunables.md');
const FOLDERS = ['assembly', 'src'];
const LEFT_OUT = /(^|\/)generated\//;
const UPPER_CASE = /^[A-Z][A-Z0-9_]*$/;

/** Every source, by name. AssemblyScript is read as TypeScript: it only adds decorators of functions. */
function sourceFiles() {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .map((name) => join(folder, name))
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts') && !LEFT_OUT.test(name)),
  ).sort();
}

const parsed = new Map();

/** A file's constants by name, and the origins of its imported names. */
function read(file) {
  if (parsed.has(file)) return parsed.get(file);
  const source = ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), ts.ScriptTarget.Latest, true);
  const found = { source, constants: new Map(), imports: new Map() };
  parsed.set(file, found);
  for (const statement of source.statements) {
    if (ts.isImportDeclaration(statement)) readImport(file, statement, found.imports);
    if (!ts.isVariableStatement(statement) || !(statement.declarationList.flags & ts.NodeFlags.Const)) continue;
    for (const { name, initializer } of statement.declarationList.declarations) {
      if (!ts.isIdentifier(name) || !UPPER_CASE.test(name.text) || initializer === undefined) continue;
      found.constants.set(name.text, { initializer, comment: commentOf(statement) });
    }
  }
  return found;
}

function readImport(file, { moduleSpecifier, importClause }, imports) {
  const named = importClause?.namedBindings;
  if (!moduleSpecifier.text.startsWith('.') || named === undefined || !ts.isNamedImports(named)) return;
  const path = relative(root, resolve(root, dirname(file), moduleSpecifier.text));
  const target = [path, `${path}.ts`].find((name) => name.endsWith('.ts') && existsSync(join(root, name)));
  if (target === undefined) return;
  for (const { name, propertyName } of named.elements)
    imports.set(name.text, { file: target, name: (propertyName ?? name).text });
}

/** The documentation comment before a statement, as one line; undefined without one. */
function commentOf(statement) {
  const text = statement.getSourceFile().text;
  const comment = ts.getLeadingCommentRanges(text, statement.pos)?.at(-1);
  const content = comment && text.slice(comment.pos, comment.end);
  if (!content?.startsWith('/**')) return undefined;
  const words = content
    .slice(3, -2)
    .split('\n')
    .map((line) => line.replace(/^\s*\*? ?/, '').trim())
    .join(' ')
    .trim();
  return words === '' ? undefined : words;
}

const BINARY = {
  [ts.SyntaxKind.PlusToken]: (a, b) => a + b,
  [ts.SyntaxKind.MinusToken]: (a, b) => a - b,
  [ts.SyntaxKind.AsteriskToken]: (a, b) => a * b,
  [ts.SyntaxKind.SlashToken]: (a, b) => a / b,
  [ts.SyntaxKind.PercentToken]: (a, b) => a % b,
  [ts.SyntaxKind.AsteriskAsteriskToken]: (a, b) => a ** b,
  [ts.SyntaxKind.LessThanLessThanToken]: (a, b) => a << b,
  [ts.SyntaxKind.GreaterThanGreaterThanToken]: (a, b) => a >> b,
  [ts.SyntaxKind.BarToken]: (a, b) => a | b,
  [ts.SyntaxKind.AmpersandToken]: (a, b) => a & b,
};
const WHOLE = new Set(['i8', 'i16', 'i32', 'i64', 'u8', 'u16', 'u32', 'u64', 'usize', 'isize']);

/** The value of an expression of numbers and named numbers; undefined for other expressions. */
function valueOf(node, file, depth = 0) {
  if (depth > 20) return undefined;
  const value = (inner) => valueOf(inner, file, depth + 1);
  if (ts.isNumericLiteral(node)) return Number(node.text);
  if (ts.isParenthesizedExpression(node)) return value(node.expression);
  if (ts.isAsExpression(node)) {
    const inner = value(node.expression);
    // Conversion to an integer truncates.
    return inner !== undefined && WHOLE.has(node.type.getText()) ? Math.trunc(inner) : inner;
  }
  if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.MinusToken) {
    const inner = value(node.operand);
    return inner === undefined ? undefined : -inner;
  }
  if (ts.isBinaryExpression(node)) {
    const [a, b, operation] = [value(node.left), value(node.right), BINARY[node.operatorToken.kind]];
    return a === undefined || b === undefined || operation === undefined ? undefined : operation(a, b);
  }
  if (ts.isCallExpression(node) && ['Math.sqrt', 'Math.fround'].includes(node.expression.getText())) {
    const [inner] = node.arguments.map(value);
    return inner === undefined
      ? undefined
      : node.expression.name.text === 'sqrt'
        ? Math.sqrt(inner)
        : Math.fround(inner);
  }
  if (!ts.isIdentifier(node)) return undefined;
  const { constants, imports } = read(file);
  const own = constants.get(node.text);
  if (own !== undefined) return value(own.initializer);
  const imported = imports.get(node.text);
  const there = imported && read(imported.file).constants.get(imported.name);
  return there && valueOf(there.initializer, imported.file, depth + 1);
}

/** Numbers with thousands separators, e.g. 65,536; small and long ones unchanged. */
function inWords(value) {
  return Number.isInteger(value) && Math.abs(value) >= 10_000 ? value.toLocaleString('en') : String(value);
}

function row(name, { initializer, comment }, value) {
  const written = initializer.getText().replace(/\s+/g, ' ');
  const isPlain = /^-?[\d_.]+(e-?\d+)?$/i.test(written);
  const shown = isPlain ? inWords(value) : `${inWords(value)} (\`${written.replaceAll('|', '\\|')}\`)`;
  return `| \`${name}\` | ${shown} | ${comment.replaceAll('|', '\\|').replaceAll('<', '&lt;')} |`;
}

function render() {
  const sections = [];
  const without = new Map();
  let listed = 0;
  for (const file of sourceFiles()) {
    const rows = [];
    for (const [name, constant] of read(file).constants) {
      const value = valueOf(constant.initializer, file);
      if (value === undefined || Number.isNaN(value)) continue;
      if (constant.comment === undefined) without.set(file, [...(without.get(file) ?? []), name]);
      else rows.push(row(name, constant, value));
    }
    listed += rows.length;
    if (rows.length > 0)
      sections.push(
        `### [\`${file}\`](../${file})\n\n| constant | value | what it is |\n| --- | --- | --- |\n${rows.join('\n')}\n`,
      );
  }
  const bare = [...without].map(
    ([file, names]) => `| \`${file}\` | ${names.map((name) => `\`${name}\``).join(', ')} |`,
  );
  const bareCount = [...without.values()].reduce((sum, names) => sum + names.length, 0);
  return [
    '# Tunables',
    '',
    '<!-- Written by `npm run docs:tunables` from the sources; `npm run lint` compares. -->',
    '',
    `The ${listed} named numbers of the sources, each with its value and its comment. This page is for developers: [configuration](configuration.md) lists what operators can set, and a changed number takes a new build. A number in \`assembly/\` with a twin in \`src/matching/oracle/\` has to be changed in both; changing a number that decides a score makes another model ([kernels](kernels.md#rules-of-the-house)). The list includes numbers of the layouts of scratch and segments, which cannot be chosen freely.`,
    '',
    '## By file',
    '',
    ...sections,
    '## Without a comment',
    '',
    `${bareCount} more numbers are named but have no comment; the code around them explains them.`,
    '',
    '| file | constants |\n| --- | --- |',
    ...bare,
    '',
  ].join('\n');
}

/** The page for the present sources. */
export async function renderTunables() {
  const options = await prettier.resolveConfig(page);
  return prettier.format(render(), { ...options, parser: 'markdown' });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const fresh = await renderTunables();
  if (!process.argv.includes('--check')) writeFileSync(page, fresh);
  else if (!existsSync(page) || readFileSync(page, 'utf8') !== fresh) {
    console.error('docs/tunables.md is not what the sources say. Run: npm run docs:tunables');
    process.exitCode = 1;
  }
}
