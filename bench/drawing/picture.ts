/** Elements of SVG pictures. */

/** Upper estimate of the width of a letter: text is not measured and must not be cut off. */
export const LETTER = 8;
/** Colours that people with colour vision deficiency can distinguish (Okabe, Ito 2008). */
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
