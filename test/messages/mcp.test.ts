import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  type CanActivate,
  type ExecutionContext,
  type INestApplication,
  Inject,
  Injectable,
  Module,
  UseGuards,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Payload, RpcException } from '@nestjs/microservices';
import {
  McpController,
  type McpContext,
  McpStrategy,
  Prompt,
  StreamableHttpTransport,
  Tool,
} from '@rekog/mcp-nest';
import {
  arg,
  header,
  Idempotent,
  IdempotencyModule,
  MemoryStore,
  payload,
} from 'nestjs-idempotency';
import { failBefore, FaultInjectingStore, Gate } from 'nestjs-idempotency/testing';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { Random } from '../support/random.js';

interface Order {
  readonly orderNo: string;
  readonly amount: number;
}

let effects: string[];
let gate: Gate | undefined;

const DECLINED = { isError: true, content: [{ type: 'text', text: 'no funds' }] };

@Injectable()
class Bank {
  @Idempotent({ key: arg(0) })
  async refund(orderNo: string, _amount: number): Promise<string> {
    effects.push(orderNo);
    return Promise.resolve(orderNo);
  }
}

@McpController()
class Shop {
  constructor(@Inject(Bank) private readonly bank: Bank) {}

  @Idempotent({ key: payload('callNo') })
  @Tool({
    name: 'refund',
    description: 'Refunds.',
    parameters: z.object({ callNo: z.string(), orderNo: z.string(), amount: z.number() }),
  })
  async refund(@Payload() { orderNo, amount }: Order): Promise<string> {
    return this.bank.refund(orderNo, amount);
  }

  @Idempotent({ key: payload('orderNo'), onError: 'store' })
  @Tool({ name: 'fail', description: 'Fails.', parameters: z.object({ orderNo: z.string() }) })
  fail(@Payload() { orderNo }: { orderNo: string }): never {
    effects.push(orderNo);
    throw new RpcException('no funds');
  }

  @Idempotent({ key: payload('orderNo') })
  @Tool({ name: 'decline', description: '.', parameters: z.object({ orderNo: z.string() }) })
  decline(@Payload() { orderNo }: { orderNo: string }): object {
    effects.push(orderNo);
    return effects.length === 1 ? DECLINED : { content: [{ type: 'text', text: 'paid at last' }] };
  }

  @Idempotent({ key: payload('orderNo'), onError: 'store' })
  @Tool({
    name: 'decline for good',
    description: '.',
    parameters: z.object({ orderNo: z.string() }),
  })
  declineForGood(@Payload() { orderNo }: { orderNo: string }): object {
    effects.push(orderNo);
    return DECLINED;
  }

  @Idempotent({ key: payload('orderNo') })
  @Prompt({
    name: 'advise',
    description: 'Advises.',
    parameters: z.object({ orderNo: z.string(), topic: z.string() }),
  })
  advise(@Payload() { topic }: { topic: string }): object {
    effects.push(topic);
    return { messages: [{ role: 'user', content: { type: 'text', text: topic } }] };
  }

  @Idempotent({ key: payload('orderNo'), retryAfter: '1ms' })
  @Tool({
    name: 'pay',
    description: 'Pays an order. Repeat a call with the same orderNo to learn what became of it.',
    parameters: z.object({ orderNo: z.string(), amount: z.number() }),
    outputSchema: z.object({ paid: z.number(), receipt: z.number() }),
    annotations: { idempotentHint: true, destructiveHint: true },
  })
  async pay(@Payload() { orderNo, amount }: Order): Promise<object> {
    await gate?.pass();
    effects.push(orderNo);
    return { paid: amount, receipt: effects.length };
  }

  @Tool({ name: 'ship', description: 'Ships.', parameters: z.object({ to: z.string() }) })
  @Idempotent({ key: header() })
  async ship(@Payload() { to }: { to: string }): Promise<string> {
    effects.push(to);
    return Promise.resolve(`shipped to ${to}`);
  }
}

/** The user is who has the token. */
class Users implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToRpc().getContext<McpContext>().getRawRequest() as {
      headers: { authorization?: string };
      user?: object;
    };
    request.user = { id: request.headers.authorization };
    return true;
  }
}

@UseGuards(Users)
@Idempotent({ key: payload('no') })
@McpController()
class Books {
  @Tool({ name: 'write', description: 'Writes.', parameters: z.object({ no: z.string() }) })
  write(@Payload() { no }: { no: string }): string {
    effects.push(`write ${no}`);
    return no;
  }

  @Tool({
    name: 'look',
    description: 'Looks.',
    parameters: z.object({ no: z.string() }),
    annotations: { readOnlyHint: true },
  })
  look(@Payload() { no }: { no: string }): string {
    effects.push(`look ${no}`);
    return no;
  }
}

interface ToolResult {
  readonly isError?: boolean;
  readonly content: readonly { readonly text: string }[];
  readonly structuredContent?: Readonly<Record<string, unknown>>;
}

describe('tools of @rekog/mcp-nest over Streamable HTTP', () => {
  let app: INestApplication;
  let url: URL;
  const clients: Client[] = [];
  const store = new FaultInjectingStore(new MemoryStore());

  beforeAll(async () => {
    const mcp = new McpStrategy({
      name: 'shop',
      version: '1.0.0',
      transports: [new StreamableHttpTransport()],
      logging: false,
    });
    @Module({
      imports: [IdempotencyModule.forRoot({ store })],
      controllers: [Shop, Books],
      providers: [Bank],
    })
    class ShopModule {}
    app = await NestFactory.create(ShopModule, { logger: false });
    mcp.setHttpAdapter(app.getHttpAdapter());
    app.connectMicroservice({ strategy: mcp });
    await app.startAllMicroservices();
    await app.listen(0, '127.0.0.1');
    url = new URL('/mcp', await app.getUrl());
  });
  afterAll(async () => {
    for (const client of clients) await client.close();
    await app?.close();
  });
  beforeEach(() => {
    effects = [];
    gate = undefined;
  });

  /** @param lost whether the reply of a call is lost on its way back */
  async function connect(
    options: { token?: string; lost?: () => boolean } = {},
  ): Promise<(name: string, args: object, meta?: object) => Promise<ToolResult>> {
    const { token = 'alice', lost = () => false } = options;
    const client = new Client({ name: 'agent', version: '1.0.0' });
    const transport = new StreamableHTTPClientTransport(url, {
      requestInit: { headers: { authorization: `Bearer ${token}` } },
      fetch: async (input, init) => {
        const reply = await fetch(input, init);
        const isCall = typeof init?.body === 'string' && init.body.includes('tools/call');
        if (!isCall || !lost()) return reply;
        await reply.text();
        throw new TypeError('fetch failed');
      },
    });
    await client.connect(transport);
    clients.push(client);
    return async (name, args, _meta) =>
      (await client.callTool({
        name,
        arguments: args as Record<string, unknown>,
        _meta: _meta as Record<string, unknown> | undefined,
      })) as ToolResult;
  }

  it('S22: do their work once, and a repeated call gets the first result', async () => {
    const call = await connect();
    const first = await call('pay', { orderNo: 'a', amount: 5 });
    expect(first.structuredContent).toEqual({ paid: 5, receipt: 1 });
    expect(await call('pay', { orderNo: 'a', amount: 5 })).toEqual(first);
    expect(effects).toEqual(['a']);
  });

  it('S22: tell an agent in words and in data what to do after a refusal', async () => {
    const call = await connect();
    await call('pay', { orderNo: 'b', amount: 5 });
    const reused = await call('pay', { orderNo: 'b', amount: 6 });
    expect(reused).toMatchObject({
      isError: true,
      structuredContent: { code: 'IDEMPOTENCY_KEY_REUSED', retryable: false },
    });
    expect(reused.content[0]!.text).toContain('Repeat the original content');
    gate = new Gate();
    const first = call('pay', { orderNo: 'c', amount: 5 });
    await gate.reached(1);
    const inUse = await call('pay', { orderNo: 'c', amount: 5 });
    gate.open();
    await first;
    expect(inUse.structuredContent).toMatchObject({
      code: 'IDEMPOTENCY_KEY_IN_USE',
      retryable: true,
      retryAfterMs: 1000,
    });
    expect(inUse.content[0]!.text).toContain('Wait 1000 ms, then call the tool again');
    expect(effects).toEqual(['b', 'c']);
  });

  it('S22: tell an agent to come again while the store is down, and do the work once then', async () => {
    const call = await connect();
    store.next('acquire', failBefore());
    const refused = await call('pay', { orderNo: 'down', amount: 5 });
    expect(refused).toMatchObject({
      isError: true,
      structuredContent: {
        code: 'IDEMPOTENCY_STORE_UNAVAILABLE',
        retryable: true,
        retryAfterMs: expect.any(Number) as number,
      },
    });
    expect(refused.content[0]!.text).toContain('call the tool again with the same arguments');
    // The work is done although the store fails when its result is to be recorded.
    store.next('complete', failBefore());
    const paid = await call('pay', { orderNo: 'down', amount: 5 });
    expect(paid.structuredContent).toEqual({ paid: 5, receipt: 1 });
    expect(await call('pay', { orderNo: 'down', amount: 5 })).toEqual(paid);
    expect(effects).toEqual(['down']);
  });

  it('take the key from _meta, and know callers by the credentials of their requests', async () => {
    const call = await connect();
    const meta = { 'Idempotency-Key': 'k-1' };
    const first = await call('ship', { to: 'Bern' }, meta);
    expect(await call('ship', { to: 'Bern' }, meta)).toEqual(first);
    expect((await call('ship', { to: 'Bern' })).structuredContent).toMatchObject({
      code: 'IDEMPOTENCY_KEY_REQUIRED',
    });
    const stranger = await connect({ token: 'mallory' });
    const asAlice = { ...meta, authorization: 'Bearer alice' };
    expect((await stranger('ship', { to: 'Bern' }, asAlice)).structuredContent).toMatchObject({
      code: 'IDEMPOTENCY_KEY_REUSED',
      differs: 'credentials',
    });
    expect(effects).toEqual(['Bern']);
  });

  it('are covered by the decorator of their class unless they only read, for each user', async () => {
    for (const token of ['alice', 'bob']) {
      const call = await connect({ token });
      for (let time = 0; time < 2; time++) {
        await call('write', { no: '1' });
        await call('look', { no: '1' });
      }
    }
    const ofOne = ['write 1', 'look 1', 'look 1'];
    expect(effects).toEqual([...ofOne, ...ofOne]);
  });

  it('tell an agent of a refusal by a method that they call', async () => {
    const call = await connect();
    await call('refund', { callNo: 'a', orderNo: 'r', amount: 5 });
    expect(await call('refund', { callNo: 'b', orderNo: 'r', amount: 6 })).toMatchObject({
      isError: true,
      structuredContent: { code: 'IDEMPOTENCY_KEY_REUSED', retryable: false },
    });
    expect(effects).toEqual(['r']);
  });

  it('that return an error have failed: they run again, unless the failure is to be kept', async () => {
    const call = await connect();
    const first = await call('decline', { orderNo: 'd' });
    expect(first).toMatchObject({ isError: true, content: [{ text: 'no funds' }] });
    expect(await call('decline', { orderNo: 'd' })).toMatchObject({
      content: [{ text: 'paid at last' }],
    });
    expect(await call('decline', { orderNo: 'd' })).toMatchObject({
      content: [{ text: 'paid at last' }],
    });
    expect(effects).toEqual(['d', 'd']);
    effects = [];
    const kept = await call('decline for good', { orderNo: 'g' });
    expect(kept).toMatchObject({ isError: true, content: [{ text: 'no funds' }] });
    expect(await call('decline for good', { orderNo: 'g' })).toEqual(kept);
    expect(effects).toEqual(['g']);
  });

  it('fail again with a failure that is on record', async () => {
    const call = await connect();
    const first = await call('fail', { orderNo: 'f' });
    expect(first).toMatchObject({ isError: true, content: [{ text: 'no funds' }] });
    expect(await call('fail', { orderNo: 'f' })).toEqual(first);
    expect(effects).toEqual(['f']);
  });

  it('are not the only ones: a prompt runs once, and is refused with an error', async () => {
    const client = new Client({ name: 'agent', version: '1.0.0' });
    await client.connect(new StreamableHTTPClientTransport(url));
    clients.push(client);
    const ask = (topic: string): Promise<unknown> =>
      client.getPrompt({ name: 'advise', arguments: { orderNo: 'a', topic } });
    const first = await ask('tea');
    expect(await ask('tea')).toEqual(first);
    await expect(ask('coffee')).rejects.toThrow('Idempotency key reused');
    expect(effects).toEqual(['tea']);
  });

  it('say that repeating them is safe', async () => {
    const client = new Client({ name: 'agent', version: '1.0.0' });
    await client.connect(new StreamableHTTPClientTransport(url));
    clients.push(client);
    const { tools } = await client.listTools();
    expect(tools.find(({ name }) => name === 'pay')!.annotations).toMatchObject({
      idempotentHint: true,
    });
  });

  it('S22: have one effect for each intent of an agent that loses every other reply', async () => {
    const random = new Random(22);
    const call = await connect({ lost: () => random.next() < 0.5 });
    const intents = Array.from({ length: 12 }, (_, n) => ({ orderNo: `intent-${n}`, amount: n }));
    /** As an agent's loop: repeats what may be repeated, with the same arguments. */
    const pursue = async (intent: Order): Promise<unknown> => {
      for (let turn = 0; turn < 50; turn += 1) {
        const result = await call('pay', intent).catch(() => undefined);
        if (result === undefined) continue;
        if (result.isError !== true) return result.structuredContent!['paid'];
        if (result.structuredContent!['retryable'] !== true) break;
        await sleep(1);
      }
      return 'given up';
    };
    // Two at a time for each intent, as an agent and its supervisor.
    const paid = await Promise.all(
      intents.map(async (intent) => Promise.all([pursue(intent), pursue(intent)])),
    );
    expect(paid).toEqual(intents.map(({ amount }) => [amount, amount]));
    expect([...effects].sort()).toEqual(intents.map(({ orderNo }) => orderNo).sort());
  });
});
