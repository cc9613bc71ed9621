import { type HttpConfig, httpToken, messageOf, StartError } from '@floorwatch/runtime';

import { processorAddress } from './serve/address.ts';

/** One address of the API of the running processor, for a command that has the same configuration. */
export class ProcessorApi {
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;

  private constructor(base: string, token: string | undefined) {
    this.#base = base;
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  /**
   * Sends nothing yet.
   *
   * @param path such as `/verify`.
   * @throws StartError if the token can't be read.
   */
  static async at(path: string, http: HttpConfig): Promise<ProcessorApi> {
    return new ProcessorApi(`${processorAddress(http)}/api/v1${path}`, await httpToken(http));
  }

  /**
   * Sends a request; rejects with the error of `fetch` if nothing listens there.
   *
   * @param more what follows the address: more of the path, or a query.
   */
  async send(method: string, more = ''): Promise<Response> {
    return fetch(this.#base + more, { method, headers: this.#headers });
  }

  /**
   * What the processor answers.
   *
   * @param remedy what a person can do if nothing listens there.
   * @throws StartError if nothing listens there, or the processor refuses.
   */
  async ask<T>(method: string, more: string, remedy: string): Promise<T> {
    const response = await this.send(method, more).catch((error: unknown) => {
      throw new StartError('usage', `${this.#base} does not answer (${messageOf(error)}); ${remedy}`, { cause: error });
    });
    return this.read(response);
  }

  /**
   * The content of an answer.
   *
   * @throws StartError with the processor's words if it refuses, or if it is another program that answers.
   */
  async read<T>(response: Response): Promise<T> {
    if (!response.ok) throw new StartError('usage', `${this.#base}: ${await this.problemOf(response)}`);
    return (await response.json().catch((error: unknown) => {
      const problem = 'the answer is no JSON, so another program listens there; look at http.host and http.port';
      throw new StartError('usage', `${this.#base}: ${problem}`, { cause: error });
    })) as T;
  }

  /** Why a request was refused. */
  async problemOf(response: Response): Promise<string> {
    const body = (await response.json().catch(() => ({}))) as { readonly error?: string };
    return body.error ?? `the processor answered with status ${response.status}`;
  }
}
