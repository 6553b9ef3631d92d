import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { OPENING_MS, openShopAnew } from './support/shop.js';

describe('starting the shop', () => {
  it(
    'says so when its port is taken',
    async () => {
      const other = createServer().listen(0, '127.0.0.1');
      await once(other, 'listening');
      const { port } = other.address() as AddressInfo;
      try {
        await expect(openShopAnew({ PORT: String(port) })).rejects.toThrow(
          new RegExp(`code 1[^]*Port ${port} on 127\\.0\\.0\\.1 is in use`),
        );
      } finally {
        other.close();
      }
    },
    OPENING_MS,
  );

  it.each([
    ['HTTP', 'koa', 'HTTP=koa: must be one of express, fastify.'],
    ['STORE', 'mongo', 'STORE=mongo: must be one of typeorm, redis, memory.'],
    ['STORE', 'redis', 'STORE=redis: needs REDIS_URL'],
    ['REDIS_URL', 'localhost:6379', 'REDIS_URL: must begin with redis://'],
    ['DATABASE_URL', 'sqlite://shop.db', 'DATABASE_URL: must begin with postgres:// or mysql://.'],
    ['LEASE', 'soon', 'LEASE=soon: must be a duration such as 30s.'],
    ['PORT', '99999', 'PORT=99999: must be a number from 0 to 65535'],
  ])('is refused with a wrong %s', async (variable, value, message) => {
    await expect(openShopAnew({ [variable]: value })).rejects.toThrow(message);
  });
});
