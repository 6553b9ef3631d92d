import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { MemoryStore } from 'nestjs-idempotency';
import { eventually } from '../support/http.js';
import { KafkaCluster, runs } from './support/kafka-cluster.js';

it('events of a topic that was made anew never pass for those that had their offsets', async () => {
  const lines: string[] = [];
  jest.spyOn(Logger.prototype, 'error').mockImplementation((message: unknown) => {
    lines.push(String(message));
  });
  const store = new MemoryStore();
  const first = await KafkaCluster.start(store);
  for (const value of ['one', 'old', 'two']) await first.send('orders', value);
  await eventually(() => runs.includes('two'));
  await first.stop();

  const second = await KafkaCluster.start(store);
  runs.length = 0;
  for (const value of ['one', 'new', 'two', 'last']) await second.send('orders', value);
  await eventually(() => runs.includes('last'));
  await second.stop();
  jest.restoreAllMocks();
  expect(runs).toEqual(['last']);
  expect(lines.filter((line) => line.startsWith('IDEMPOTENCY_'))).toEqual([
    expect.stringMatching(/^IDEMPOTENCY_KEY_REUSED on orders .*dropped/),
  ]);
}, 120_000);
