import {
  ClassSerializerInterceptor,
  Controller,
  type INestApplication,
  Post,
  type Type,
  UseInterceptors,
} from '@nestjs/common';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import {
  arg,
  body,
  header,
  Idempotent,
  type IdempotentDeclaration,
  IdempotencyService,
  messageId,
  param,
  payload,
  principal,
  query,
  signature,
  SkipIdempotency,
} from 'nestjs-idempotency';
import { boot, bootError } from '../support/http.js';

const configure = (app: INestApplication) => app.useWebSocketAdapter(new IoAdapter(app));

function gateway(options: IdempotentDeclaration): Type {
  @WebSocketGateway()
  class Shop {
    @Idempotent(options)
    @SubscribeMessage('pay')
    pay(): void {}
  }
  return Shop;
}

async function failure(...providers: Type[]): Promise<string> {
  return (await bootError('express', { controllers: [], providers, configure })).message;
}

describe('on a gateway', () => {
  it.each([
    ['none', {}],
    ['header()', { key: header() }],
    ['param()', { key: param('id') }],
    ['query()', { key: query('id') }],
    ['messageId()', { key: messageId() }],
    ['arg(0)', { key: arg(1, 'id') }],
    ["arg('id')", { key: arg('id') }],
    ['one of a list', { key: [payload('id'), header()] }],
  ])('a key that its events never have is refused: %s', async (_, options) => {
    expect(await failure(gateway(options as IdempotentDeclaration))).toMatch(
      /key of Shop\.pay".*Say where its calls have the key, such as payload\('orderNo'\)/s,
    );
  });

  it.each([
    ['payload()', { key: payload() }],
    ['body()', { key: body('id') }],
    ['principal()', { key: principal() }],
    ['signature()', { key: signature() }],
    ['a function', { key: () => 'A' }],
  ])('a key that its events have is accepted: %s', async (_, options) => {
    const app = await boot('express', {
      controllers: [],
      providers: [gateway(options as IdempotentDeclaration)],
      configure,
    });
    expect(app.complaints).toEqual([]);
    await app.close();
  });

  it('acknowledge is refused, because no broker waits for it', async () => {
    const options = { key: payload('id'), acknowledge: true } as const;
    expect(await failure(gateway(options))).toMatch(/acknowledge of Shop\.pay/);
  });

  it('a serializer around what is recorded is refused', async () => {
    @UseInterceptors(ClassSerializerInterceptor)
    @WebSocketGateway()
    class Shop {
      @Idempotent({ key: payload('id') })
      @SubscribeMessage('pay')
      pay(): void {}
    }
    expect(await failure(Shop)).toMatch(/with a ClassSerializerInterceptor around it/);
  });

  it('two classes of one name with one event and method need a scope', async () => {
    const options = { key: payload('id') };
    expect(await failure(gateway(options), gateway(options))).toMatch(/scope of Shop\.pay.*pay/s);
  });
});

@Idempotent({ key: payload('id') })
@WebSocketGateway({ namespace: 'shop' })
class Shop {
  @SubscribeMessage('pay')
  pay(@MessageBody() _order: unknown): void {}

  @SkipIdempotency()
  @SubscribeMessage('list')
  list(): void {}
}

@WebSocketGateway(0, { path: '/bank' })
class Bank {
  @Idempotent({ key: payload('id') })
  @SubscribeMessage('pay')
  pay(): void {}

  @SubscribeMessage('forgotten')
  forgotten(): void {}
}

@Controller()
class Caller {
  constructor(private readonly shop: Shop) {}

  @Post('call')
  call(): void {
    this.shop.pay({ id: 'A' });
  }
}

describe('coverage()', () => {
  it('lists events with namespace or path, and those without protection', async () => {
    const app = await boot('express', { controllers: [], providers: [Shop, Bank], configure });
    const entries = app.app.get(IdempotencyService).coverage();
    await app.close();
    const rows = entries.map((one) => [one.kind, one.protection, ...one.scopes].join(' '));
    expect(rows.sort()).toEqual([
      'socket idempotent /bank pay Bank.pay',
      'socket idempotent /shop pay Shop.pay',
      'socket none /bank forgotten Bank.forgotten',
      'socket skipped /shop list Shop.list',
    ]);
  });
});

it('a call from code is refused', async () => {
  const app = await boot('express', { controllers: [Caller], providers: [Shop], configure });
  expect((await app.send('/call')).json()).toMatchObject({ code: 'IDEMPOTENCY_NOT_PROTECTED' });
  await app.close();
});
