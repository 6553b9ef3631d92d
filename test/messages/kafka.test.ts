import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { MemoryStore } from 'nestjs-idempotency';
import { eventually } from '../support/http.js';
import { KafkaCluster, runs } from './support/kafka-cluster.js';

let lines: string[];

describe('events over the protocol of Kafka', () => {
  let cluster: KafkaCluster;

  beforeAll(async () => {
    cluster = await KafkaCluster.start(new MemoryStore());
  }, 60_000);
  afterAll(() => cluster?.stop());
  beforeEach(() => {
    runs.length = 0;
    lines = [];
    for (const level of ['warn', 'error'] as const)
      jest.spyOn(Logger.prototype, level).mockImplementation((message: unknown) => {
        lines.push(String(message));
      });
  });
  afterEach(() => jest.restoreAllMocks());

  const refusals = (): string[] => lines.filter((line) => line.startsWith('IDEMPOTENCY_'));

  it('run once for each id, and one that its producer repeats does not run again', async () => {
    for (const id of ['A', 'A', 'B'])
      await cluster.send('orders', `order ${id}`, { 'Message-Id': id });
    await cluster.send('by-header', 'first', { 'X-Order': '7' });
    await cluster.send('by-header', 'first', { 'x-order': '7' });
    await cluster.send('by-header', 'last', { 'X-Order': '8' });
    await eventually(() => runs.includes('order B') && runs.includes('last'));
    expect([...runs].sort()).toEqual(['first', 'last', 'order A', 'order B']);
    expect(lines).toEqual([]);
  });

  it('that are refused end their turn with a line, and those behind them run', async () => {
    await cluster.send('by-header', 'other content', { 'X-Order': '7' });
    await cluster.send('by-header', 'without a key');
    await cluster.send('by-header', 'behind', { 'X-Order': '9' });
    await eventually(() => runs.length > 0);
    expect(runs).toEqual(['behind']);
    expect(refusals()).toEqual([
      expect.stringMatching(/^IDEMPOTENCY_KEY_REUSED on by-header .*dropped/),
      expect.stringMatching(/^IDEMPOTENCY_KEY_REQUIRED on by-header .*dropped/),
    ]);
  });

  it('that throw a KafkaRetriableException come again, and run', async () => {
    await cluster.send('orders', 'again');
    await cluster.send('orders', 'behind');
    await eventually(() => runs.includes('behind'));
    expect(runs).toEqual(['again', 'again', 'behind']);
  });
});
