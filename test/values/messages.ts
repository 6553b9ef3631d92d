import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  type ClientProvider,
  type ClientProxy,
  MessagePattern,
  type MicroserviceOptions,
  Payload,
} from '@nestjs/microservices';
import { IdempotencyModule, IdempotencyService, Idempotent, payload } from 'nestjs-idempotency';
import { firstValueFrom } from 'rxjs';
import { connectProducer } from '../messages/support/consumer.js';
import { collecting, SeenStore } from './in-process.js';
import { type Kind, SECRET } from './kinds.js';

/** What one kind of value became on its way. */
interface Sent {
  readonly first: unknown;
  readonly second: unknown;
}

/** The consumer, and its only client; `types` are known if they are given. */
export interface Courier {
  send(kind: Kind): Promise<Sent>;
  readonly idempotency: IdempotencyService;
  readonly store: SeenStore;
  readonly warnings: string[];
  readonly runs: Map<string, number>;
  close(): Promise<void>;
}

/** An application with a handler of messages for each kind, behind a transport. */
export async function startCourier(
  kinds: readonly Kind[],
  transport: MicroserviceOptions,
  client: ClientProvider,
): Promise<Courier> {
  const runs = new Map<string, number>();
  class Shop {
    [method: string]: (key: unknown) => unknown;
  }
  kinds.forEach(({ name, make, returns }, index) => {
    const method = `kind${index}`;
    const value = (_key: unknown): unknown => {
      runs.set(name, (runs.get(name) ?? 0) + 1);
      return make();
    };
    const descriptor = { value, configurable: true, writable: true };
    Reflect.defineMetadata('design:paramtypes', [String], Shop.prototype, method);
    Payload()(Shop.prototype, method, 0);
    MessagePattern(method)(Shop.prototype, method, descriptor);
    Idempotent({ key: payload(), returns })(Shop.prototype, method, descriptor);
    Object.defineProperty(Shop.prototype, method, descriptor);
  });
  Controller()(Shop);
  const warnings: string[] = [];
  const store = new SeenStore();
  @Module({ imports: [IdempotencyModule.forRoot({ store })], controllers: [Shop] })
  class App {}
  const app = await NestFactory.createMicroservice(App, {
    ...transport,
    logger: collecting(warnings),
    abortOnError: false,
  });
  await app.listen();
  const producer: ClientProxy = await connectProducer(client);
  const ask = (kind: Kind): Promise<unknown> =>
    firstValueFrom(producer.send(`kind${kinds.indexOf(kind)}`, 'A'), { defaultValue: 'nothing' });
  return {
    async send(kind) {
      const first = await ask(kind);
      return { first, second: await ask(kind).catch((error: unknown) => error) };
    },
    idempotency: app.get(IdempotencyService),
    store,
    warnings,
    runs,
    async close() {
      await producer.close();
      await app.close();
    },
  };
}

/** What a client gets of each kind of value over a transport that sends JSON. */
export function describeMessages(
  kinds: readonly Kind[],
  start: (kinds: readonly Kind[]) => Promise<Courier>,
): void {
  let courier: Courier;
  const sent = kinds.filter(({ hasNoJson }) => hasNoJson !== true);

  beforeAll(async () => {
    courier = await start(sent);
  });

  afterAll(() => courier?.close());

  test.each(sent.map((kind) => [kind.name, kind] as const))('%s', async (name, kind) => {
    const { first, second } = await courier.send(kind);
    expect(courier.runs.get(name)).toBe(1);
    if (kind.isHidden === true) {
      expect(second).toMatchObject({ code: 'IDEMPOTENCY_REPLY_NOT_KEPT' });
      expect(courier.warnings).toEqual([expect.stringContaining('class-transformer')]);
      expect(courier.store.contains(SECRET)).toBe(false);
      courier.warnings.splice(0);
    } else {
      expect(second).toEqual(first);
      expect(courier.warnings).toEqual([]);
    }
  });
}
