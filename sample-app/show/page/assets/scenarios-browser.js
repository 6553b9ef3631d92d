/** @type {import('./scenarios.js').Scenario[]} */
export const IN_THE_BROWSER = [
  {
    id: 'button',
    rows: 'S14',
    group: 'In the browser',
    title: 'A button that waits',
    danger: 'An impatient customer clicks again, or the page retries with a new key: bought twice.',
    code: "protectButton(button, ({ fetch }) => fetch('/goods/2/decrement', request))",
    route: 'POST /goods/:id/decrement',
    pace: 900,
    widget: 'button',
  },
  {
    id: 'form',
    rows: 'S10',
    group: 'In the browser',
    title: 'A form with a token',
    danger:
      'A new order has no number yet. Enter twice, or a reload after submitting, orders twice.',
    code: "protectForm(form, { tokenUrl: '/idempotency/tokens' })\n@Idempotent({ strategy: 'token' })",
    route: 'POST /orders',
    pace: 1200,
    widget: 'form',
  },
];
