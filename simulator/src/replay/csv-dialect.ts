/** Tried in this order: of two that fit alike, a comma is more likely to belong to a number or a text. */
const DELIMITERS = ['\t', ';', '|', ','] as const;
const LINES_MAX = 50;

/**
 * The delimiter of a text: the one that stands equally often in its lines, outside quotation marks; else the most frequent one; a comma if
 * there is none, as in a file with a single column.
 */
export function detectDelimiter(text: string): string {
  const counts = countPerLine(text);
  const ranked = DELIMITERS.map((delimiter, index) => {
    const perLine = counts.map((line) => line[index] ?? 0);
    const total = perLine.reduce((sum, n) => sum + n, 0);
    const even = total > 0 && perLine.every((n) => n === perLine[0]);
    return { delimiter, total, even };
  });
  const even = ranked.find((candidate) => candidate.even);
  if (even !== undefined) return even.delimiter;
  const most = ranked.reduce((best, candidate) => (candidate.total > best.total ? candidate : best));
  return most.total > 0 ? most.delimiter : ',';
}

function countPerLine(text: string): number[][] {
  const lines: number[][] = [];
  let line = DELIMITERS.map(() => 0);
  let quoted = false;
  let empty = true;
  for (const char of text) {
    if (char === '"') quoted = !quoted;
    else if ((char === '\n' || char === '\r') && !quoted) {
      if (!empty) lines.push(line);
      if (lines.length === LINES_MAX) return lines;
      line = DELIMITERS.map(() => 0);
      empty = true;
      continue;
    } else if (!quoted) {
      const index = DELIMITERS.findIndex((delimiter) => delimiter === char);
      if (index >= 0) line[index] = (line[index] ?? 0) + 1;
    }
    empty = false;
  }
  if (!empty) lines.push(line);
  return lines;
}
