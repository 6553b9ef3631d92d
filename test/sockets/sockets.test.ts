import { NotFoundException } from '@nestjs/common';
import {
  Ack,
  ConnectedSocket,
  MessageBody,
  type OnGatewayConnection,
  type OnGatewayDisconnect,
  SubscribeMessage,
  WebSocketGateway,
  WsException,
  type WsResponse,
} from '@nestjs/websockets';
import {
  Idempotent,
  IdempotencyService,
  type IdempotentOperation,
  MemoryStore,
  Operation,
  payload,
  signature,
} from 'nestjs-idempotency';
import { delayUntil, FaultInjectingStore, Gate } from 'nestjs-idempotency/testing';
import type { IncomingMessage } from 'node:http';
import { from, type Observable } from 'rxjs';
import { boot, eventually, type TestApp } from '../support/http.js';
import {
  type Adapter,
  ADAPTERS,
  connectClient,
  connectIo,
  type SocketClient,
  use,
} from './support/clients.js';

interface Order {
  readonly id?: unknown;
  readonly amount?: number;
}

/** Sockets of both adapters. */
interface Socket {
  data?: { user?: { id: string } };
  user?: { id: string };
  readonly handshake?: { readonly auth: { readonly user?: string } };
}

type Paid = WsResponse<object>;

let runs: string[];
/** The users whose sockets have disconnected. */
let left: (string | undefined)[];
let gate: Gate | undefined;
beforeEach(() => {
  [runs, left, gate] = [[], [], undefined];
});

@WebSocketGateway()
class Shop implements OnGatewayConnection, OnGatewayDisconnect {
  /** Only a test believes what the client says about itself. */
  handleConnection(client: Socket, request?: IncomingMessage): void {
    const id = client.handshake?.auth.user ?? (request?.headers['x-user'] as string | undefined);
    if (id === undefined) return;
    if (client.data === undefined) client.user = { id };
    else client.data.user = { id };
  }

  handleDisconnect({ data, user }: Socket): void {
    left.push((data?.user ?? user)?.id);
  }

  @Idempotent({ key: payload('id') })
  @SubscribeMessage('pay')
  async pay(
    @ConnectedSocket() _client: Socket,
    @MessageBody() order: Order,
    @Operation() op: IdempotentOperation,
  ): Promise<Paid> {
    runs.push(`pay ${String(order.id)}`);
    await gate?.pass();
    const { attempt, key, principal } = op;
    return {
      event: 'paid',
      data: { amount: order.amount, no: runs.length, attempt, key, principal },
    };
  }

  @Idempotent({ key: payload('id'), wait: '20s' })
  @SubscribeMessage('patient')
  async patient(@MessageBody() order: Order): Promise<WsResponse<number>> {
    runs.push(`patient ${String(order.id)}`);
    await gate?.pass();
    return { event: 'done', data: runs.length };
  }

  @Idempotent({ key: payload('id') })
  @SubscribeMessage('stream')
  stream(@MessageBody() order: Order): Observable<WsResponse<number>> {
    runs.push(`stream ${String(order.id)}`);
    return from([1, 2, 3].map((data) => ({ event: 'part', data })));
  }

  @Idempotent({ key: payload('id') })
  @SubscribeMessage('fail')
  fail(@MessageBody() order: Order): never {
    runs.push(`fail ${String(order.id)}`);
    throw runs.length === 1 ? new NotFoundException() : new WsException('no money');
  }

  @Idempotent({ key: payload('id') })
  @SubscribeMessage('fail slowly')
  async failSlowly(): Promise<never> {
    await gate?.pass();
    throw new Error('no disk');
  }

  @Idempotent({ key: payload('id'), onError: 'store' })
  @SubscribeMessage('refuse')
  refuse(@MessageBody() order: Order): never {
    runs.push(`refuse ${String(order.id)}`);
    throw new WsException({ reason: 'no money', left: 3 });
  }

  @Idempotent({ key: signature() })
  @SubscribeMessage('signed')
  signed(@MessageBody() order: Order): WsResponse<string> {
    runs.push(`signed ${String(order.id)}`);
    return { event: 'done', data: `secret ${runs.length}` };
  }

  @Idempotent({ key: payload('id') })
  @SubscribeMessage('returned')
  returned(@MessageBody() order: Order): object {
    runs.push(`returned ${String(order.id)}`);
    return { ok: true, no: runs.length };
  }

  @Idempotent({ key: payload('id') })
  @SubscribeMessage('by hand')
  async byHand(
    @MessageBody() order: Order,
    @Ack() ack: (...answer: unknown[]) => void,
  ): Promise<Paid> {
    runs.push(`by hand ${String(order.id)}`);
    ack({ ok: true, no: runs.length }, 'second argument');
    await gate?.pass();
    if (order.amount === 0) throw new WsException('nothing to pay');
    return { event: 'paid', data: { no: runs.length } };
  }

  @Idempotent({ key: payload('id') })
  @SubscribeMessage('without decorators')
  withoutDecorators(_client: Socket, order: Order, ack: (answer: unknown) => void): void {
    runs.push(`without ${String(order.id)}`);
    ack(runs.length);
  }
}

let app: TestApp;
let store: FaultInjectingStore;
let clients: { close(): unknown }[] = [];

async function start(adapter: Adapter): Promise<void> {
  store = new FaultInjectingStore(new MemoryStore());
  app = await boot('express', {
    controllers: [],
    providers: [Shop],
    idempotency: { store },
    configure: (made) => use(adapter, made),
  });
}

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

describe.each(ADAPTERS)('events of a gateway over %s', (adapter) => {
  beforeAll(() => start(adapter));
  afterAll(() => app?.close());

  async function connect(user?: string): Promise<SocketClient> {
    const client = await connectClient(adapter, app.port, user);
    clients.push(client);
    return client;
  }

  const ask = (client: SocketClient, event: string, data: unknown) => {
    client.send(event, data);
    return client.take();
  };

  it('run once, and every retry gets the first reply, also on a new socket of the same user', async () => {
    const ann = await connect('ann');
    const order = { id: 'A-1', amount: 3 };
    const first = await ask(ann, 'pay', order);
    const data = { amount: 3, no: 1, attempt: 1, key: 'A-1', principal: 'ann' };
    expect(first).toEqual(['paid', data]);
    expect(await ask(ann, 'pay', order)).toEqual(first);
    expect(await ask(await connect('ann'), 'pay', order)).toEqual(first);
    expect(runs).toEqual(['pay A-1']);
  });

  it('of another user are other operations', async () => {
    const order = { id: 'A-2' };
    await ask(await connect('ann'), 'pay', order);
    const [, data] = await ask(await connect('bob'), 'pay', order);
    expect(data).toMatchObject({ no: 2, principal: 'bob' });
  });

  it('are refused with other content, without a key, and while the first runs', async () => {
    gate = new Gate();
    const ann = await connect('ann');
    ann.send('pay', { id: 'A-3', amount: 1 });
    await gate.reached(1);
    expect(await ask(ann, 'pay', { id: 'A-3', amount: 2 })).toEqual([
      'exception',
      expect.objectContaining({
        code: 'IDEMPOTENCY_KEY_REUSED',
        retryable: false,
        message: expect.any(String) as string,
        cause: { pattern: 'pay', data: { id: 'A-3', amount: 2 } },
      }),
    ]);
    expect(await ask(ann, 'pay', { amount: 1 })).toMatchObject([
      'exception',
      { code: 'IDEMPOTENCY_KEY_REQUIRED', retryable: false },
    ]);
    expect(await ask(ann, 'pay', { id: 'A-3', amount: 1 })).toMatchObject([
      'exception',
      { code: 'IDEMPOTENCY_KEY_IN_USE', retryable: true, retryAfter: 1, retryAfterMs: 1_000 },
    ]);
    gate.open();
    expect((await ann.take())[0]).toBe('paid');
    expect(runs).toEqual(['pay A-3']);
  });

  it('wait for the first reply if they may', async () => {
    gate = new Gate();
    const all = [await connect('ann'), await connect('ann'), await connect('ann')];
    for (const client of all) client.send('patient', { id: 'A-4' });
    await gate.reached(1);
    gate.open();
    for (const client of all) expect(await client.take()).toEqual(['done', 1]);
    expect(runs).toEqual(['patient A-4']);
  });

  it('replay all that was emitted', async () => {
    const ann = await connect('ann');
    for (let time = 0; time < 2; time++) {
      ann.send('stream', { id: 'A-5' });
      for (const part of [1, 2, 3]) expect(await ann.take()).toEqual(['part', part]);
    }
    expect(runs).toEqual(['stream A-5']);
  });

  it('run again after a failure, and replay an error that is the result', async () => {
    const ann = await connect('ann');
    expect((await ask(ann, 'fail', { id: 'A-6' }))[0]).toBe('exception');
    expect(await ask(ann, 'fail', { id: 'A-6' })).toMatchObject([
      'exception',
      { message: 'no money' },
    ]);
    const refused = ['exception', { reason: 'no money', left: 3 }];
    expect(await ask(ann, 'refuse', { id: 'A-6' })).toEqual(refused);
    expect(await ask(ann, 'refuse', { id: 'A-6' })).toEqual(refused);
    expect(runs).toEqual(['fail A-6', 'fail A-6', 'refuse A-6']);
  });

  it('of one nameless socket never answer another', async () => {
    const [one, other] = [await connect(), await connect()];
    const order = { id: 'A-7', amount: 1 };
    const first = await ask(one, 'pay', order);
    expect(first).toMatchObject(['paid', { no: 1 }]);
    expect(await ask(other, 'pay', order)).toMatchObject([
      'exception',
      {
        code: 'IDEMPOTENCY_KEY_REUSED',
        detail: expect.stringContaining('other credentials') as string,
      },
    ]);
    expect(await ask(one, 'pay', order)).toEqual(first);
    expect(runs).toEqual(['pay A-7']);
    expect(await ask(one, 'signed', order)).toEqual(['done', 'secret 2']);
    expect(await ask(other, 'signed', order)).toEqual(['done', 'secret 3']);
    expect(app.complaints.filter((text) => text.includes('after it reconnects'))).toHaveLength(2);
  });

  it('go on when their socket disconnects, and the next one gets the reply', async () => {
    gate = new Gate();
    const first = await connect('eve');
    first.send('pay', { id: 'A-8' });
    await gate.reached(1);
    first.close();
    await eventually(() => left.includes('eve'));
    gate.open();
    gate = undefined;
    const again = await connect('eve');
    await eventually(async () => (await ask(again, 'pay', { id: 'A-8' }))[0] === 'paid');
    expect(runs).toEqual(['pay A-8']);
  });

  it('are handled although their socket disconnects before they begin', async () => {
    const acquiring = new Gate();
    store.next('acquire', delayUntil(acquiring));
    const first = await connect('fay');
    first.send('pay', { id: 'A-9' });
    await acquiring.reached(1);
    first.close();
    await eventually(() => left.includes('fay'));
    acquiring.open();
    await eventually(() => runs.length > 0);
    expect(runs).toEqual(['pay A-9']);
  });

  it('that fail after their socket has gone are logged', async () => {
    gate = new Gate();
    const gus = await connect('gus');
    gus.send('fail slowly', { id: 'A-10' });
    await gate.reached(1);
    gus.close();
    await eventually(() => left.includes('gus'));
    gate.open();
    const told = () => app.complaints.filter((text) => text.includes('Shop.failSlowly'));
    await eventually(() => told().length > 0);
    expect(told()).toEqual([expect.stringMatching(/^HANDLER_FAILED on fail slowly .*dropped/)]);
  });
});

describe('acknowledgements of socket.io', () => {
  beforeAll(() => start('socket.io'));
  afterAll(() => app?.close());

  function connect(auth: object) {
    const socket = connectIo(app.port, auth);
    clients.push(socket);
    return socket;
  }

  it('are replayed as the handler returned them', async () => {
    const ann = connect({ user: 'ann' });
    const order = { id: 'B-1' };
    expect(await ann.emitWithAck('returned', order)).toEqual({ ok: true, no: 1 });
    expect(await ann.emitWithAck('returned', order)).toEqual({ ok: true, no: 1 });
    expect(await connect({ user: 'ann' }).emitWithAck('returned', order)).toEqual({
      ok: true,
      no: 1,
    });
    expect(runs).toEqual(['returned B-1']);
  });

  it.each([
    ['@Ack()', 'by hand', { ok: true, no: 1 }],
    ['no decorator', 'without decorators', 1],
  ])('that the handler sends itself, with %s, are replayed too', async (_, event, answer) => {
    const ann = connect({ user: 'ann' });
    for (let time = 0; time < 2; time++)
      expect(await ann.emitWithAck(event, { id: `B-2 ${event}` })).toEqual(answer);
    expect(runs).toHaveLength(1);
  });

  it('that the handler sends itself leave with all their arguments, once they are on record', async () => {
    gate = new Gate();
    const ann = connect({ user: 'ann' });
    const answers: unknown[][] = [];
    const events: unknown[] = [];
    ann.on('paid', (data) => events.push(data));
    const send = () =>
      ann.emit('by hand', { id: 'B-3' }, (...answer: unknown[]) => answers.push(answer));
    send();
    await gate.reached(1);
    expect(await ann.emitWithAck('returned', { id: 'B-3' })).toMatchObject({ ok: true });
    expect(answers).toEqual([]);
    gate.open();
    await eventually(() => events.length === 1);
    send();
    await eventually(() => events.length === 2);
    expect(answers).toEqual([
      [{ ok: true, no: 1 }, 'second argument'],
      [{ ok: true, no: 1 }, 'second argument'],
    ]);
  });

  it('are not sent for a handler that fails after it has acknowledged', async () => {
    const ann = connect({ user: 'ann' });
    const answers: unknown[] = [];
    const failed = new Promise((resolve) => ann.on('exception', resolve));
    ann.emit('by hand', { id: 'B-4', amount: 0 }, (answer: unknown) => answers.push(answer));
    expect(await failed).toMatchObject({ message: 'nothing to pay' });
    expect(await ann.emitWithAck('returned', { id: 'B-4' })).toMatchObject({ ok: true });
    expect(answers).toEqual([]);
  });

  it('reach no other client with other credentials in its handshake', async () => {
    const one = connect({ token: 'one' });
    const order = { id: 'B-5' };
    const first = await one.emitWithAck('returned', order);
    expect(await connect({ token: 'one' }).emitWithAck('returned', order)).toEqual(first);
    const other = connect({ token: 'other' });
    const refused = new Promise((resolve) => other.on('exception', resolve));
    other.emit('returned', order);
    expect(await refused).toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });
    expect(runs).toEqual(['returned B-5']);
  });
});

describe('a gateway whose clients name their namespace', () => {
  @WebSocketGateway({ namespace: /^\/tenant-/ })
  class Tenants {
    @Idempotent({ key: payload('id'), principal: () => 'ann' })
    @SubscribeMessage('own scope')
    ownScope(@MessageBody() _order: Order): number {
      return runs.push('run');
    }

    @Idempotent({ key: payload('id'), principal: () => 'ann', scope: 'shared' })
    @SubscribeMessage('shared scope')
    sharedScope(@MessageBody() _order: Order): number {
      return runs.push('run');
    }
  }

  it('has other operations in each, and never answers one with the reply of another', async () => {
    app = await boot('express', {
      controllers: [],
      providers: [Tenants],
      configure: (made) => use('socket.io', made),
    });
    const [one, other] = ['/tenant-1', '/tenant-2'].map((place) => connectIo(app.port, {}, place));
    clients.push(one!, other!);
    const order = { id: 'D-1' };
    expect(await one!.emitWithAck('own scope', order)).toBe(1);
    expect(await other!.emitWithAck('own scope', order)).toBe(2);
    expect(await one!.emitWithAck('own scope', order)).toBe(1);
    expect(await one!.emitWithAck('shared scope', order)).toBe(3);
    const refused = new Promise((resolve) => other!.on('exception', resolve));
    other!.emit('shared scope', order);
    expect(await refused).toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });
    await app.close();
  });
});

it('operators find the operation by event, class and method', async () => {
  await start('socket.io');
  const ann = connectIo(app.port, { user: 'ann' });
  clients.push(ann);
  await ann.emitWithAck('returned', { id: 'C-1' });
  const idempotency = app.app.get(IdempotencyService);
  const scope = 'returned Shop.returned';
  expect(await idempotency.find({ scope, key: 'C-1', principal: 'ann' })).toMatchObject({
    state: 'completed',
  });
  await app.close();
});
