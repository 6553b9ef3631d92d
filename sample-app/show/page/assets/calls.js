/** A call with a key that all its retries share. */
export const keyed = (call, key) => ({ ...call, headers: { 'Idempotency-Key': key } });

/** Enough of a key to tell it from another. */
export const short = (key) => `${key.slice(0, 8)}…`;

export const keyFact = ({ key }) => [['Idempotency-Key', short(key)]];

export const randomNumber = () => String(1000 + Math.floor(Math.random() * 9000));

/** Sets something up. Not counted in the scenario. */
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
