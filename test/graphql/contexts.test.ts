import { FieldCall } from '../../src/transports/graphql/field-call.js';

const headers = { 'idempotency-key': 'k', 'content-type': 'application/json' };
const args = { orderNo: 'A' };

describe('the request of a mutation', () => {
  it.each([
    ['Apollo, and what Nest makes of others', { req: { headers, tenant: 't' } }],
    ['Mercurius', { app: {}, reply: { request: { headers, tenant: 't' } } }],
    ['Yoga, and drivers with the request itself', { request: { headers, tenant: 't' } }],
  ])('is found in the context of %s', (_, context) => {
    const { request } = new FieldCall('Mutation.pay', args, context);
    expect(request.headers).toEqual({ 'idempotency-key': 'k' });
    expect(request['tenant']).toBe('t');
    expect(request.body).toBe(args);
    expect(request['context']).toBe(context);
  });

  it.each([
    ['on the request', { req: { headers, user: { id: 1 } }, user: { id: 2 } }, 1],
    ['on the context', { req: { headers }, user: { id: 2 } }, 2],
  ])('has the user whom guards have put %s', (_, context, id) => {
    expect(new FieldCall('Mutation.pay', args, context).request.user).toEqual({ id });
  });

  it.each([
    ['a web socket', { req: { extra: {} } }],
    ['code', undefined],
  ])('has no headers where there are none: %s', (_, context) => {
    expect(new FieldCall('Mutation.pay', args, context).request.headers).toEqual({});
  });

  it('says nothing of how the document was sent', () => {
    const sent = { headers, method: 'POST', url: '/graphql?v=1', query: { v: '1' }, params: {} };
    expect(new FieldCall('Mutation.pay', args, { req: sent }).request).toMatchObject({
      method: undefined,
      url: undefined,
      query: undefined,
      params: undefined,
    });
  });
});
