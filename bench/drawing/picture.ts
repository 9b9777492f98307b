/** What pictures in SVG are made of. */

/** A generous guess at the width of a letter: a picture that measures no text must not cut it off. */
export const LETTER = 8;
/** Colours that also people with colour vision deficiency tell apart (Okabe, Ito 2008), and dashes for more lines. */
export const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];

/** A coordinate. */
export function place(value: number): string {
  return value.toFixed(1);
}

export function text(x: number, y: number, content: string, anchor = 'middle', attributes = ''): string {
  return `<text x="${place(x)}" y="${place(y)}" text-anchor="${anchor}" ${attributes}>${escape(content)}</text>`;
}

/** Ten to the power of an exponent. */
export function power(x: number, y: number, exponent: number): string {
  const raised = `10<tspan dy="-5" font-size="9">${String(exponent).replace('-', '−')}</tspan>`;
  return `<text x="${place(x)}" y="${place(y)}" text-anchor="middle">${exponent === 0 ? '1' : raised}</text>`;
}

export function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
