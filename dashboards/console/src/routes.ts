/** Where the page can be. The address behind `#` says it, so that every place can be linked to and gone back to. */
export type Route =
  | { readonly view: 'floor'; readonly query: URLSearchParams }
  | { readonly view: 'anomalies'; readonly query: URLSearchParams }
  | { readonly view: 'sensor'; readonly id: string; readonly query: URLSearchParams }
  | { readonly view: 'lost' };

/** The route that a location's hash names. */
export function parseRoute(hash: string): Route {
  const [path = '', search = ''] = hash.replace(/^#/, '').split('?', 2);
  const query = new URLSearchParams(search);
  const parts = path.split('/').filter((part) => part !== '');
  const [view, ...rest] = parts;
  if (view === undefined || (view === 'floor' && rest.length === 0)) return { view: 'floor', query };
  if (view === 'anomalies' && rest.length === 0) return { view: 'anomalies', query };
  if (view === 'sensor' && rest.length === 4) {
    try {
      return { view: 'sensor', id: rest.map(decodeURIComponent).join('/'), query };
    } catch {
      return { view: 'lost' };
    }
  }
  return { view: 'lost' };
}

/** A link to a sensor's page. */
export const sensorHash = (id: string, query?: URLSearchParams): string =>
  withQuery(`#/sensor/${id.split('/').map(encodeURIComponent).join('/')}`, query);

/** `hash` with a query, if there is one. */
export function withQuery(hash: string, query?: URLSearchParams): string {
  const text = query?.toString() ?? '';
  return text === '' ? hash : `${hash}?${text}`;
}
