import { Args, Mutation, Resolver } from '@nestjs/graphql';
import { type Client, createClient } from 'graphql-ws';
import { arg, header, Idempotent } from 'nestjs-idempotency';
import { WebSocket } from 'ws';
import { FieldCall } from '../../src/transports/graphql/fields.js';
import type { FieldInfo } from '../../src/transports/graphql/schema-place.js';
import { bootGraphql, type GraphqlApp } from './support/graphql-app.js';

let runs: string[];

@Resolver()
class Payments {
  @Idempotent({ key: arg('orderNo') })
  @Mutation(() => String)
  pay(@Args('orderNo') orderNo: string): string {
    return `receipt ${runs.push(orderNo)}`;
  }

  @Idempotent({ key: header() })
  @Mutation(() => String)
  byHeader(): string {
    return `receipt ${runs.push('by header')}`;
  }
}

describe('mutations over web sockets', () => {
  let app: GraphqlApp;
  let clients: Client[] = [];

  beforeAll(async () => {
    app = await bootGraphql({ providers: [Payments] });
  });
  afterAll(() => app?.close());
  beforeEach(() => {
    runs = [];
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.dispose();
  });

  interface Given {
    readonly headers?: Record<string, string>;
    readonly connectionParams?: Record<string, unknown>;
  }

  /** A client with a socket of its own. */
  function connect({ headers = {}, connectionParams }: Given = {}): Client {
    class WithHeaders extends WebSocket {
      constructor(url: string, protocols: string) {
        super(url, protocols, { headers });
      }
    }
    const client = createClient({
      url: `ws://127.0.0.1:${app.port}/graphql`,
      webSocketImpl: WithHeaders,
      connectionParams,
      lazy: false,
    });
    clients.push(client);
    return client;
  }

  /** The reply, or the code of the refusal. */
  async function ask(client: Client, query: string): Promise<unknown> {
    const { value } = await client.iterate<Record<string, unknown>>({ query }).next();
    const { data, errors } = value as {
      readonly data?: Record<string, unknown> | null;
      readonly errors?: readonly { readonly extensions?: { readonly code?: string } }[];
    };
    return errors?.[0]?.extensions?.code ?? Object.values(data ?? {})[0];
  }

  const PAY = 'mutation { pay(orderNo: "A-1") }';

  it('T77: of one nameless socket never answer another, and a line says so', async () => {
    const [one, other] = [connect(), connect()];
    for (let time = 0; time < 2; time++) expect(await ask(one, PAY)).toBe('receipt 1');
    expect(await ask(other, PAY)).toBe('IDEMPOTENCY_KEY_REUSED');
    expect(runs).toEqual(['A-1']);
    const lines = app.complaints.filter((line) => line.includes('without credentials'));
    expect(lines).toEqual([expect.stringMatching(/^Mutation\.pay .*connectionParams/)]);
  });

  it.each<[string, Given, Given]>([
    [
      'what they present when they connect',
      { connectionParams: { token: 'ann' } },
      { connectionParams: { token: 'bob' } },
    ],
    ['their cookies', { headers: { cookie: 'ann' } }, { headers: { cookie: 'bob' } }],
  ])('know their callers by %s, also on another socket', async (how, ann, bob) => {
    const pay = `mutation { pay(orderNo: "${how}") }`;
    expect(await ask(connect(ann), pay)).toBe('receipt 1');
    expect(await ask(connect(ann), pay)).toBe('receipt 1');
    expect(await ask(connect(bob), pay)).toBe('IDEMPOTENCY_KEY_REUSED');
  });

  it('never take a header of their connection for a key', async () => {
    const client = connect({ headers: { 'idempotency-key': 'k' } });
    expect(await ask(client, 'mutation { byHeader }')).toBe('IDEMPOTENCY_KEY_REQUIRED');
    expect(runs).toEqual([]);
  });
});

describe('the connection of a mutation', () => {
  const callIn = (context: unknown): FieldCall =>
    new FieldCall('Mutation.pay', {}, context, {} as FieldInfo);

  it.each<[string, () => object]>([
    ['graphql-ws, as Nest passes it on', () => ({ req: { extra: {} } })],
    ['graphql-ws', () => ({ extra: {} })],
    ['Mercurius', () => ({ request: { ws: true, headers: {} } })],
  ])('is known by its socket, whatever comes over it: %s', (_, make) => {
    const [one, other] = [make(), make()];
    const id = callIn(one).connection!.id;
    expect(callIn({ ...one }).connection!.id).toBe(id);
    expect(callIn(other).connection!.id).not.toBe(id);
  });

  it('has the user whom the application has put on it', () => {
    expect(callIn({ req: { extra: { user: { id: 7 } } } }).request.user).toEqual({ id: 7 });
  });

  it('is absent for a request', () => {
    expect(callIn({ req: { headers: {} } }).connection).toBeUndefined();
  });
});
