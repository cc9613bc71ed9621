import { h } from '../dom.ts';

/** A table with a head. */
export const table = (
  head: readonly string[],
  rows: readonly ((names: readonly string[]) => HTMLElement)[],
): HTMLElement =>
  h(
    'table',
    {},
    h('thead', {}, h('tr', {}, ...head.map((name) => h('th', { scope: 'col' }, name)))),
    h('tbody', {}, ...rows.map((row) => row(head))),
  );

/** A row; every cell carries the name of its column, which stands beside it where the screen is too narrow for a table. */
export const tableRow =
  (cells: readonly (Node | string)[]) =>
  (names: readonly string[]): HTMLElement =>
    h('tr', {}, ...cells.map((cell, index) => h('td', { 'data-name': names[index] ?? '' }, cell)));
