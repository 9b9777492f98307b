/** The report as one self-contained HTML file. */
import type { BenchDocument } from '../harness/document.ts';
import { machineLine, processorOf } from '../harness/machine.ts';
import { escape } from '../drawing/picture.ts';
import type { Baseline } from './baseline.ts';
import type { Figure } from './figure.ts';
import { plotsOf } from './plots.ts';
import { comparisonsOf, shownComparison, shownSpread, shownValue } from './summary.ts';
import { tablesOf } from './tables.ts';

const STYLE = `body{font:15px/1.45 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{font-size:1.6rem}h2{margin-top:2.5rem;border-bottom:1px solid #ccc}table{border-collapse:collapse;margin:1rem 0}
td,th{padding:.25rem .6rem;border-bottom:1px solid #e4e4e4;text-align:left;vertical-align:top}td.n{text-align:right;font-variant-numeric:tabular-nums}
.worse{background:#fde0dc}.better{background:#e0f3e3}.note{color:#555}svg{max-width:100%;height:auto}code{background:#f4f4f4;padding:0 .2rem}`;

/** @param documents - in the order in which they were measured; at least one */
export function page(
  documents: readonly BenchDocument[],
  figures: readonly Figure[],
  baseline: Baseline | undefined,
): string {
  const [first] = documents;
  const newest = documents[documents.length - 1];
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Ridgewatch: measurements of ${first.date.slice(0, 10)}</title><style>${STYLE}</style></head>
<body>
<h1>Ridgewatch: measurements of ${first.date.slice(0, 10)}</h1>
<p>${escape(machineLine(first.machine))}.<br>Kernels and finger model: <code>${newest.kernel}</code>.</p>
<p class="note">Times and rates depend on the machine; ratios and error rates do not. People are synthetic unless a set of real ones is named. Definitions, methods, and limits of each figure: docs/benchmarks.md.</p>
<h2>Figures</h2>
${figureTable(figures, baseline, processorOf(first.machine))}
${documents.map((document) => section(document, newest.kernel)).join('\n')}
</body>
</html>
`;
}

function figureTable(figures: readonly Figure[], baseline: Baseline | undefined, processor: string): string {
  const comparisons = comparisonsOf(baseline, figures, processor);
  const rows = figures.map((figure) => {
    const comparison = comparisons.get(figure);
    const mark = { better: ' class="better"', WORSE: ' class="worse"', 'as before': '', 'another processor': '' }[
      comparison?.verdict ?? 'as before'
    ];
    return `<tr${mark}><td>${escape(figure.bench)}</td><td>${escape(figure.name)}</td><td class="n">${escape(shownValue(figure))}</td><td>${escape(shownSpread(figure))}</td><td>${escape(shownComparison(comparison))}</td></tr>`;
  });
  const beside =
    baseline === undefined
      ? 'There is no baseline.'
      : `Baseline: ${baseline.date.slice(0, 10)}, ${baseline.machine}, kernels <code>${baseline.kernel}</code>. Only ratios, error rates and counts are compared.`;
  return `<p class="note">${beside} Spreads are quartiles of repeats, limits 95 %.</p>
<table><tr><th>suite</th><th>figure</th><th>value</th><th>spread or limits</th><th>against the baseline</th></tr>
${rows.join('\n')}
</table>`;
}

function section(document: BenchDocument, kernel: string): string {
  const { bench, arguments: given, date, seconds } = document;
  const command = `npm run bench -- ${[bench, ...given].map((part) => (part.includes(' ') ? `"${part}"` : part)).join(' ')}`;
  // Readers of the page must not learn the location of the data.
  const shown = command.replace(/(?:\/[\w.-]+)+\/([\w.-]+)/g, '…/$1');
  return `<h2>${escape(bench)}</h2>
<p class="note"><code>${escape(shown)}</code>, ${date.slice(0, 16).replace('T', ' ')}, ${Math.round(seconds)} s${document.kernel === kernel ? '' : `, with other kernels: <code>${document.kernel}</code>`}</p>
${plotsOf(document).join('\n')}
${tablesOf(document).join('\n')}`;
}
