/** The result of a bench as tables. */
import type { BenchDocument } from '../harness/document.ts';
import type { Spread } from '../harness/spread.ts';
import { inWords } from '../harness/words.ts';
import { escape } from '../drawing/picture.ts';

/** Deeper levels are shown as text. */
const DEPTH = 2;

/** Parts that are plotted; they have too many numbers for a table. */
const DRAWN = new Set(['det', 'curve']);

/** Renders any result: lists of objects become tables, other values become lines. */
export function tablesOf(document: BenchDocument): string[] {
  const result = inWords(document.result);
  const isList = Array.isArray(result);
  const parts = isList
    ? [['', result] as const]
    : Object.entries(result as object).filter(([name]) => !DRAWN.has(name));
  const lines = parts.filter(([, value]) => !isTable(value) && !isGroup(value));
  return [
    ...(lines.length === 0 ? [] : [valueTable(lines)]),
    ...parts.flatMap(([name, value]) => tableOf(name, value, 0)),
  ];
}

function tableOf(name: string, value: unknown, depth: number): string[] {
  const heading = name === '' ? '' : `<h3>${escape(name)}</h3>`;
  if (isTable(value)) return [heading + rowTable(value)];
  if (!isGroup(value)) return [];
  const entries = Object.entries(value);
  const simple = entries.filter(([, inner]) => depth >= DEPTH || (!isTable(inner) && !isGroup(inner)));
  const nested = entries.filter((entry) => !simple.includes(entry));
  return [
    heading + (simple.length === 0 ? '' : valueTable(simple)),
    ...nested.flatMap(([inner, content]) => tableOf(`${name}: ${inner}`, content, depth + 1)),
  ];
}

function isGroup(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSpread(value: unknown): value is Spread {
  return isGroup(value) && 'median' in value && 'low' in value && 'high' in value;
}

function isTable(value: unknown): value is object[] {
  return Array.isArray(value) && value.length > 0 && value.every(isGroup);
}

function valueTable(entries: readonly (readonly [string, unknown])[]): string {
  return `<table>${entries.map(([name, value]) => `<tr><td>${escape(name)}</td><td>${cell(value)}</td></tr>`).join('\n')}</table>`;
}

function rowTable(rows: readonly object[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((name) => !DRAWN.has(name));
  const head = columns.map((column) => `<th>${escape(column)}</th>`).join('');
  const body = rows.map((row) => {
    const known = row as Record<string, unknown>;
    return `<tr>${columns.map((column) => `<td${typeof known[column] === 'number' ? ' class="n"' : ''}>${cell(known[column])}</td>`).join('')}</tr>`;
  });
  return `<table><tr>${head}</tr>\n${body.join('\n')}</table>`;
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'number')
    return Number.isInteger(value) ? value.toLocaleString('en') : String(Number(value.toPrecision(4)));
  if (isTable(value)) return rowTable(value);
  if (isSpread(value)) return `${cell(value.median)} (${cell(value.low)} to ${cell(value.high)})`;
  if (Array.isArray(value)) return value.map(cell).join(', ');
  if (isGroup(value))
    return Object.entries(value)
      .map(([name, inner]) => `${escape(name)} ${cell(inner)}`)
      .join(', ');
  return escape(typeof value === 'string' ? value : JSON.stringify(value));
}
