import { protectButton, protectForm } from '/client.js';
import { element } from './dom.js';
import { BEGUN } from './run.js';

/** How long these wait before they retry without an answer, in milliseconds. */
const MAX_DELAY_MS = 1_000;

/**
 * A form and a button, enhanced by the library's client.
 *
 * @typedef {object} Stage
 * @property {() => Promise<import('./run.js').Run>} begin the run that a request is part of
 * @property {() => Promise<void>} carryOver keeps what was counted for the page after a reload
 * @property {() => Promise<void>} finish shows what came of it
 */

/** @type {Record<'form' | 'button', (stage: Stage) => { node: HTMLElement, dispose(): void }>} */
export const WIDGETS = { form: orderForm, button: buyButton };

function orderForm(stage) {
  const token = element('code', { class: 'token' }, 'asking for one …');
  const form = element(
    'form',
    { class: 'widget', action: '/orders' },
    field('Article', { name: 'sku', value: 'lamp', required: true, maxlength: 64 }),
    field('Quantity', {
      name: 'quantity',
      type: 'number',
      value: 2,
      min: 1,
      max: 99,
      required: true,
    }),
    element('button', { class: 'primary' }, 'Order'),
    element('p', { class: 'fact-line' }, 'Token in the hidden field: ', token),
  );
  const node = element(
    'div',
    {},
    form,
    element(
      'div',
      { class: 'actions' },
      element(
        'button',
        { type: 'button', click: () => submitAndReload() },
        'Submit, and reload the page meanwhile',
      ),
    ),
    element('p', { class: 'try' }, 'Double-click “Order”, or press Enter twice in a field.'),
  );
  let isToReload = false;
  const submitAndReload = () => {
    isToReload = true;
    form.requestSubmit();
  };
  const protection = protectForm(form, {
    intent: 'order',
    tokenUrl: '/idempotency/tokens',
    encoding: 'json',
    maxDelayMs: MAX_DELAY_MS,
    fetch: async (input, init) => {
      const run = await stage.begin();
      if (input.url.endsWith('/tokens')) return run.fetch(input, init);
      const requestId = run.newRequestId();
      if (isToReload) void reloadWhenBegun(stage, run, requestId);
      return run.countedFetch(input, init, requestId);
    },
    onResult: () => stage.finish(),
  });
  const watch = setInterval(() => {
    const { value } = form.elements.namedItem('_idempotency_token');
    const text = value === '' ? 'a new one comes with the next order' : `${value.slice(0, 12)}…`;
    if (token.textContent !== text) token.textContent = text;
  }, 200);
  return {
    node,
    dispose() {
      clearInterval(watch);
      protection.dispose();
    },
  };
}

function buyButton(stage) {
  const button = element('button', { type: 'button', class: 'primary' }, 'Buy a chair');
  const loses = element('input', { type: 'checkbox', name: 'loses' });
  const node = element(
    'div',
    {},
    element('div', { class: 'actions' }, button),
    element(
      'label',
      { class: 'check' },
      loses,
      'Lose the first reply: the client sends it again by itself',
    ),
    element(
      'p',
      { class: 'try' },
      'Double-click it: one request goes out, and the button says that it is busy.',
    ),
  );
  let isLost = false;
  const protection = protectButton(
    button,
    async ({ fetch }) => {
      isLost = loses.checked;
      await fetch('/goods/2/decrement', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: '{"by":1}',
      });
      await stage.finish();
    },
    {
      intent: 'buy',
      maxDelayMs: MAX_DELAY_MS,
      fetch: async (input, init) => {
        const run = await stage.begin();
        if (!isLost) return run.countedFetch(input, init);
        isLost = false;
        return loseReply(run, input);
      },
    },
  );
  return { node, dispose: () => protection.dispose() };
}

/** The order has been sent. The next page continues with it. */
async function reloadWhenBegun(stage, run, requestId) {
  await run.timeline.heardOf(requestId, BEGUN);
  await stage.carryOver();
  location.reload();
}

/** Sends it, and cuts the connection once the server has started. */
async function loseReply(run, input) {
  const requestId = run.newRequestId();
  const connection = new AbortController();
  const sent = run.countedFetch(input, { signal: connection.signal }, requestId);
  await run.timeline.heardOf(requestId, BEGUN);
  connection.abort();
  return sent;
}

function field(label, attributes) {
  return element(
    'label',
    { class: 'field' },
    element('span', {}, label),
    element('input', attributes),
  );
}
