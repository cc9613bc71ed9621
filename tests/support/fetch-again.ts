/**
 * A `fetch` of what may be asked twice. A server may close a connection that was kept open in the moment in which it is used again, which on
 * a busy machine happens now and then; then it is asked once more, over another connection.
 */
export async function fetchAgain(url: string): Promise<Response> {
  try {
    return await fetch(url);
  } catch (error) {
    const { cause } = error as { readonly cause?: { readonly code?: string } };
    if (cause?.code !== 'UND_ERR_SOCKET' && cause?.code !== 'ECONNRESET') throw error;
    return fetch(url);
  }
}
