import { Controller } from '@nestjs/common';
import { MessagePattern, Payload, RpcException, Transport } from '@nestjs/microservices';
import {
  IdempotencyService,
  Idempotent,
  type IdempotentOperation,
  Operation,
  payload,
} from 'nestjs-idempotency';
import { inspect } from 'node:util';
import { boot } from '../support/http.js';
import { freePort } from '../support/servers/private-server.js';
import { HandedServer } from '../messages/support/handed-server.js';
import { KINDS, LIBRARIES } from './kinds.js';
import { describeMessages, startCourier } from './messages.js';

describe('what a client gets over TCP', () => {
  describeMessages(
    [...KINDS, ...LIBRARIES.map(([name, make]) => ({ name, make, outcome: 'equal' as const }))],
    async (kinds) => {
      const options = { host: '127.0.0.1', port: await freePort() };
      return startCourier(
        kinds,
        { transport: Transport.TCP, options },
        { transport: Transport.TCP, options },
      );
    },
  );
});

let reads = 0;

@Controller()
class Shop {
  @Idempotent({ key: payload() })
  @MessagePattern('counted')
  counted(@Payload() _key: string): object {
    return { toJSON: () => ({ reads: ++reads }) };
  }

  @Idempotent({ key: payload() })
  @MessagePattern('stepped')
  async stepped(@Payload() _key: string, @Operation() op?: IdempotentOperation): Promise<string> {
    const made = await op!.step('make', () => new Map([[BigInt(++reads), new Date(5)]]));
    if (op!.attempt === 1) throw new Error('after the step');
    return inspect(made);
  }

  @Idempotent({ key: payload() })
  @MessagePattern('bigint')
  bigint(@Payload() _key: string): object {
    return { sum: [1n] };
  }

  @Idempotent({ key: payload() })
  @MessagePattern('cycle')
  cycle(@Payload() _key: string): object {
    const parent: Record<string, unknown> = {};
    parent['child'] = { parent };
    return parent;
  }

  @Idempotent({ key: payload() })
  @MessagePattern('broken')
  broken(@Payload() _key: string): object {
    return {
      toJSON() {
        throw new TypeError('a secret');
      },
    };
  }

  @Idempotent({ key: payload(), onError: 'store' })
  @MessagePattern('thrown')
  thrown(@Payload() key: string): never {
    // oxlint-disable-next-line no-throw-literal, typescript/only-throw-error -- as some code does
    if (key === 'data') throw { getError: 'no', rpcError: 'a', response: 'b', status: 400 };
    throw new (class OutOfStock extends RpcException {
      readonly left = 3;
    })({ code: 'OUT' });
  }
}

describe('what a transport hands over', () => {
  const server = new HandedServer();
  let app: Awaited<ReturnType<typeof boot>>;

  beforeAll(async () => {
    app = await boot('express', {
      controllers: [Shop],
      configure: async (nest) => {
        nest.connectMicroservice({ strategy: server });
        await nest.startAllMicroservices();
      },
    });
  });

  afterAll(() => app?.close());

  const hand = (pattern: string, key = 'A'): Promise<unknown> =>
    server.hand(pattern, key, {}).catch((error: unknown) => error);

  it('is what toJSON() has said once', async () => {
    expect(JSON.stringify(await hand('counted'))).toBe('[{"reads":1}]');
    expect(JSON.stringify(await hand('counted'))).toBe('[{"reads":1}]');
  });

  it('is not what a step returned, which the next attempt gets as it was', async () => {
    await hand('stepped');
    const at = new Date(5);
    expect(await hand('stepped')).toEqual([inspect(new Map([[BigInt(reads), at]]))]);
  });

  it.each([
    ['bigint', /value\.sum\[\] is a bigint, which JSON does not have/],
    ['cycle', /value\.child\.parent is an Object object, which contains itself/],
    ['broken', /value is an Object object, which throws a TypeError object when it is read\./],
  ])('is not kept where JSON has no form of it: %s', async (pattern, warning) => {
    app.complaints.splice(0);
    expect(await hand(pattern)).not.toMatchObject({ code: expect.anything() });
    const second = await hand(pattern);
    expect(second).toMatchObject({ code: 'IDEMPOTENCY_REPLY_NOT_KEPT' });
    expect(app.complaints).toEqual([expect.stringMatching(warning)]);
    const idempotency = app.app.get(IdempotencyService);
    const scope = `${pattern} Shop.${pattern}`;
    expect(await idempotency.find({ scope, key: 'A' })).toMatchObject({ state: 'completed' });
  });

  it.each([
    ['exception', { code: 'OUT' }],
    ['data', { status: 'error', message: 'Internal server error' }],
  ])('is the error that the handler threw: %s', async (key, shown) => {
    const first = await hand('thrown', key);
    expect(first).toMatchObject(shown);
    expect(await hand('thrown', key)).toEqual(first);
  });
});
