/** The titles of tests, as their files state them. */
import ts from 'typescript';

const GROUPS = new Set(['describe']);
const TESTS = new Set(['it', 'test']);
/** What is never run shows nothing. */
const UNRUN = new Set(['skip', 'todo']);

/**
 * Titles of the tests in a file, and of its groups of tests, each after the titles of the groups that it is in, with a
 * blank between. Computed parts are `…`. Tests that are switched off are left out.
 *
 * @param text - TypeScript
 */
export function testTitles(text: string): ReadonlySet<string> {
  const titles = new Set<string>();
  const visit = (node: ts.Node, group: string): void => {
    let within = group;
    if (ts.isCallExpression(node)) {
      const words = wordsOf(node.expression);
      const [name = ''] = words;
      const title = GROUPS.has(name) || TESTS.has(name) ? textOf(node.arguments[0]) : undefined;
      if (title !== undefined) {
        if (words.some((word) => UNRUN.has(word))) return;
        const whole = group === '' ? title : `${group} ${title}`;
        titles.add(whole);
        if (GROUPS.has(name)) within = whole;
      }
    }
    ts.forEachChild(node, (child) => visit(child, within));
  };
  visit(ts.createSourceFile('a.test.ts', text, ts.ScriptTarget.Latest), '');
  return titles;
}

/** `it.each([1])` → `it`, `each`. */
function wordsOf(callee: ts.Expression): string[] {
  if (ts.isIdentifier(callee)) return [callee.text];
  if (ts.isPropertyAccessExpression(callee)) return [...wordsOf(callee.expression), callee.name.text];
  if (ts.isCallExpression(callee)) return wordsOf(callee.expression);
  return [];
}

function textOf(node: ts.Expression | undefined): string | undefined {
  if (node === undefined) return undefined;
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node))
    return node.head.text + node.templateSpans.map((one) => `…${one.literal.text}`).join('');
  return undefined;
}
