/** A call with the key that all of its repetitions have. */
export const keyed = (call, key) => ({ ...call, headers: { 'Idempotency-Key': key } });

/** As much of a key as one needs to see whether it is another. */
export const short = (key) => `${key.slice(0, 8)}…`;

export const keyFact = ({ key }) => [['Idempotency-Key', short(key)]];

export const randomNumber = () => String(1000 + Math.floor(Math.random() * 9000));

/** Something to go on with: not part of what a scenario counts. */
export async function placeOrder(run) {
  const { body: token } = await run.prepare({ path: '/idempotency/tokens' });
  const { body: order } = await run.prepare({
    path: '/orders',
    headers: { [token.header]: token.token },
    body: { sku: 'lamp', quantity: 1 },
  });
  return order;
}

export const orderFacts = async ({ id }, run) => {
  const { status } = await run.read(`/orders/${id}`);
  return [
    ['Order', short(id)],
    ['Status', status],
  ];
};
