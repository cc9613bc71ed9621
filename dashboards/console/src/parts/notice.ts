import { ApiError } from '../api-client.ts';
import { h } from '../dom.ts';

/** A page-wide message where content would be. */
export function emptyState(title: string, ...content: readonly (Node | string)[]): HTMLElement {
  return h('div', { class: 'empty' }, h('h2', {}, title), ...content);
}

/** What went wrong, in a sentence that begins a message. */
export function explainError(error: unknown): string {
  if (error instanceof ApiError) return `${error.message.charAt(0).toUpperCase()}${error.message.slice(1)}.`;
  return 'Something unforeseen happened on this page. Reload it; if it happens again, report it.';
}
