import { h, setText } from '../dom.ts';

/** Asks for the access token until one is given. */
export class TokenDialog {
  readonly #input = h('input', {
    id: 'token',
    type: 'password',
    autocomplete: 'current-password',
    spellcheck: 'false',
    'aria-describedby': 'token-why',
  });
  readonly #why = h('p', { id: 'token-why' });
  readonly element: HTMLDialogElement;
  #asked = false;

  constructor(onToken: (token: string) => void) {
    const form = h(
      'form',
      {},
      h('h2', { id: 'token-title' }, 'Access token'),
      this.#why,
      h('label', { for: 'token' }, 'Token'),
      this.#input,
      h('div', { class: 'actions' }, h('button', { class: 'primary', type: 'submit' }, 'Continue')),
    );
    this.element = h('dialog', { class: 'token', 'aria-labelledby': 'token-title' }, form);
    this.element.addEventListener('cancel', (event) => event.preventDefault());
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const token = this.#input.value.trim();
      if (token === '') return;
      this.#input.value = '';
      this.element.close();
      onToken(token);
    });
  }

  ask(): void {
    if (this.element.open) return;
    setText(
      this.#why,
      this.#asked
        ? 'The processor did not accept that token. It is the one in the file that http.tokenFile names, or in FLOORWATCH_HTTP_TOKEN.'
        : 'This processor asks for its access token once per tab. Whoever runs it has the token.',
    );
    this.#asked = true;
    this.element.showModal();
    this.#input.focus();
  }
}
