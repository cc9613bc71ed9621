/** What people and programs write where there is no value. */
const MISSING = new Set(['', 'na', 'n/a', 'nan', 'null', 'none', 'nil', '-', '--', '?']);

/** Whether a cell (without white space around it) says that there is no value. */
export const isMissing = (cell: string): boolean => cell.length <= 4 && MISSING.has(cell.toLowerCase());

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const COMMA_NUMBER = /^[+-]?\d*,\d+(e[+-]?\d+)?$/i;

/** The number in a cell, or undefined if it holds another text or one too large for a double. */
export function parseNumber(cell: string, decimalComma: boolean): number | undefined {
  const text = decimalComma && COMMA_NUMBER.test(cell) ? cell.replace(',', '.') : cell;
  if (!NUMBER.test(text)) return undefined;
  const number = Number(text);
  return Number.isFinite(number) ? number : undefined;
}

/** Whether the numbers in `cells` are written with a decimal comma: some are, and none has a decimal point. */
export const usesDecimalComma = (cells: readonly string[]): boolean =>
  cells.some((cell) => COMMA_NUMBER.test(cell)) && !cells.some((cell) => NUMBER.test(cell) && cell.includes('.'));
