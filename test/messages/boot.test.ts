import {
  ClassSerializerInterceptor,
  Controller,
  Post,
  type Type,
  UseInterceptors,
} from '@nestjs/common';
import { APP_INTERCEPTOR, Reflector } from '@nestjs/core';
import {
  EventPattern,
  GrpcMethod,
  GrpcStreamCall,
  GrpcStreamMethod,
  MessagePattern,
} from '@nestjs/microservices';
import { Idempotent, type IdempotentOptions, payload } from 'nestjs-idempotency';
import { type AppOptions, boot, bootError } from '../support/http.js';

const KEY = { key: payload('id') } as const;

async function failure(...controllers: Type[]): Promise<string> {
  return (await bootError('express', { controllers })).message;
}

async function comesUp(controllers: Type[], options: Partial<AppOptions> = {}): Promise<boolean> {
  const app = await boot('express', { controllers, ...options });
  await app.close();
  return true;
}

it('acknowledge is refused on what handles no messages', async () => {
  @Controller()
  class Orders {
    @Idempotent({ acknowledge: true })
    @Post()
    place(): void {}
  }
  expect(await failure(Orders)).toMatch(
    /acknowledge of Orders\.place.*Only handlers of messages take this option/s,
  );
});

it("stream: 'through' is refused on what has no reply over HTTP", async () => {
  @Controller()
  class Orders {
    @Idempotent({ ...KEY, stream: 'through' })
    @EventPattern<string>('placed')
    placed(): void {}
  }
  expect(await failure(Orders)).toMatch(/stream of Orders\.placed.*only the reply of a route/s);
});

it.each<[string, IdempotentOptions, RegExp]>([
  ['a number that is none', { maxAttempts: 0 }, /maxAttempts of Orders\.placed.*1 to 1000/s],
  [
    'another word',
    { maxAttempts: { times: 2, afterwards: 'drop' as never } },
    /afterwards: 'hold', 'store'/,
  ],
  [
    'dead letters without acknowledge',
    { maxAttempts: { times: 2, afterwards: 'reject' } },
    /acknowledge: true/,
  ],
  [
    'a first attempt that is the last',
    { maxAttempts: 2, onError: 'hold', onAbandoned: 'hold' },
    /always the last/,
  ],
  ['a lock', { strategy: 'lock', maxAttempts: 2 }, /does not take this option/],
])('maxAttempts is refused: %s', async (_, options, message) => {
  @Controller()
  class Orders {
    @Idempotent({ ...KEY, ...(options as object) })
    @EventPattern<string>('placed')
    placed(): void {}
  }
  expect(await failure(Orders)).toMatch(message);
});

it.each([
  ['GrpcStreamMethod', GrpcStreamMethod],
  ['GrpcStreamCall', GrpcStreamCall],
])('@%s() is refused: there is no single request', async (_, decorator) => {
  @Controller()
  class Orders {
    @Idempotent(KEY)
    @decorator('Orders', 'Place')
    place(): void {}
  }
  expect(await failure(Orders)).toMatch(/Orders\.place, a handler of a stream of requests/);
});

it('@GrpcMethod() is accepted', async () => {
  @Controller()
  class Orders {
    @Idempotent(KEY)
    @GrpcMethod('Orders', 'Place')
    place(): void {}
  }
  expect(await comesUp([Orders])).toBe(true);
});

it('two classes of one name with one pattern and method need a scope', async () => {
  const orders = (scope?: string): Type => {
    @Controller()
    class Orders {
      @Idempotent({ ...KEY, scope })
      @EventPattern<string>('placed')
      placed(): void {}
    }
    return Orders;
  };
  expect(await failure(orders(), orders())).toMatch(/scope of Orders\.placed.*placed/s);
  expect(await comesUp([orders(), orders('second')])).toBe(true);
});

describe('a ClassSerializerInterceptor around what is recorded', () => {
  @Controller()
  class Asked {
    @Idempotent(KEY)
    @MessagePattern('ask')
    ask(): void {}
  }

  @UseInterceptors(ClassSerializerInterceptor)
  @Controller()
  class OfClass {
    @Idempotent(KEY)
    @MessagePattern('ask')
    ask(): void {}
  }

  @Controller()
  class OfMethod {
    @Idempotent(KEY)
    @UseInterceptors(ClassSerializerInterceptor)
    @MessagePattern('ask')
    ask(): void {}
  }

  @Controller()
  class Within {
    @UseInterceptors(ClassSerializerInterceptor)
    @Idempotent(KEY)
    @MessagePattern('ask')
    ask(): void {}
  }

  @UseInterceptors(ClassSerializerInterceptor)
  @Controller()
  class Told {
    @Idempotent(KEY)
    @EventPattern<string>('tell')
    tell(): void {}
  }

  const REFUSED = /with a ClassSerializerInterceptor around it.*Put @UseInterceptors/s;
  const provided = { provide: APP_INTERCEPTOR, useClass: ClassSerializerInterceptor };
  const configure: AppOptions['configure'] = (app) =>
    app.useGlobalInterceptors(new ClassSerializerInterceptor(new Reflector()));

  it('is refused on the class', async () => {
    expect(await failure(OfClass)).toMatch(REFUSED);
  });

  it('is refused on the method', async () => {
    expect(await failure(OfMethod)).toMatch(REFUSED);
  });

  it.each([
    ['as a provider', { providers: [provided] }],
    ['by the application', { configure }],
  ])('is refused when it is global, %s', async (_, options) => {
    const { message } = await bootError('express', { controllers: [Asked], ...options });
    expect(message).toMatch(REFUSED);
  });

  it('is accepted for events, which answer nobody, and within', async () => {
    expect(await comesUp([Told, Within])).toBe(true);
    expect(await comesUp([Within], { configure })).toBe(true);
  });
});
