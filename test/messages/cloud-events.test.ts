import { Controller, HttpCode, Post } from '@nestjs/common';
import { CloudEvent, HTTP, Kafka } from 'cloudevents';
import { cloudEventId, Idempotent } from 'nestjs-idempotency';
import type { IdempotentCall } from 'nestjs-idempotency';
import { MessageCall } from '../../src/transports/rpc/messages.js';
import { boot, expectProblem, PLATFORMS, type TestApp } from '../support/http.js';

const SOURCE = 'https://shop.example/orders?region=1';
const event = (data: object = { no: 7 }, more: object = {}): CloudEvent<object> =>
  new CloudEvent({ id: 'e 1', source: SOURCE, type: 'order.paid', data, ...more });

@Controller()
class Events {
  @Idempotent({ key: cloudEventId() })
  @HttpCode(200)
  @Post('events')
  on(): object {
    return { at: process.hrtime.bigint().toString() };
  }
}

describe.each(PLATFORMS)('CloudEvents over HTTP, on %s', (platform) => {
  let app: TestApp;
  beforeAll(async () => {
    app = await boot(platform, {
      controllers: [Events],
      configure: (started) =>
        (started as unknown as { useBodyParser(...args: unknown[]): void }).useBodyParser(
          ...(platform === 'express'
            ? ['json', { type: ['application/json', 'application/*+json'] }]
            : [
                ['application/cloudevents+json', 'application/cloudevents-batch+json'],
                {},
                (_request: unknown, body: Buffer, done: (e: null, v: unknown) => void) =>
                  done(null, JSON.parse(String(body))),
              ]),
        ),
    });
  });
  afterAll(() => app?.close());

  const send = ({ headers, body }: { headers: object; body: unknown }) =>
    app.send('/events', { headers: headers as Record<string, string>, body: body as string });

  it('are one event in both modes, whatever else has changed', async () => {
    const first = await send(HTTP.binary(event()) as never);
    expect(first.status).toBe(200);
    const later = event({ no: 7 }, { time: new Date(0).toISOString(), traceparent: '00-ab-cd-01' });
    const { headers, body } = HTTP.binary(later);
    const encoded = { headers: { ...headers, 'ce-id': '"e%201"' }, body };
    for (const again of [HTTP.binary(later), encoded, HTTP.structured(later)]) {
      const reply = await send(again as never);
      expect([reply.status, reply.text]).toEqual([200, first.text]);
    }
    const other = await send(HTTP.structured(event({ no: 7 }, { source: '/other' })) as never);
    expect(other.text).not.toBe(first.text);
  });

  it('are refused with other data, without one of the two, and as a batch', async () => {
    await send(HTTP.binary(event({ no: 1 }, { id: '2' })) as never);
    expectProblem(
      await send(HTTP.structured(event({ no: 2 }, { id: '2' })) as never),
      422,
      'IDEMPOTENCY_KEY_REUSED',
    );
    const json = { 'content-type': 'application/cloudevents+json' };
    const without = JSON.stringify({ specversion: '1.0', id: '3', type: 'a' });
    expectProblem(await send({ headers: json, body: without }), 400, 'IDEMPOTENCY_KEY_INVALID');
    const batch = { 'content-type': 'application/cloudevents-batch+json' };
    const both = JSON.stringify([event(), event()]);
    expectProblem(await send({ headers: batch, body: both }), 400, 'IDEMPOTENCY_KEY_INVALID');
    const none = { 'content-type': 'application/json' };
    expectProblem(await send({ headers: none, body: '{}' }), 400, 'IDEMPOTENCY_KEY_REQUIRED');
  });
});

describe('CloudEvents in messages', () => {
  const source = cloudEventId();
  const NAME = `${SOURCE} e 1`;
  const kafka = (headers: object): object => ({
    getMessage: () => ({ headers, offset: '1' }),
    getTopic: () => 'orders',
    getPartition: () => 0,
  });
  const amqp = (headers: object): object => ({
    getMessage: () => ({ fields: {}, properties: { headers } }),
    getChannelRef: () => ({}),
  });
  const mqtt = (userProperties: object): object => ({
    getPacket: () => ({ properties: { userProperties } }),
  });
  const named = (prefix: string): object =>
    Object.fromEntries(
      Object.entries({ specversion: '1.0', id: 'e 1', source: SOURCE, type: 'order.paid' }).map(
        ([name, value]) => [prefix + name, value],
      ),
    );
  const data = { no: 7 };
  const structured = event().toJSON();

  it.each<[string, object, unknown]>([
    ['Kafka, binary', kafka(Kafka.binary(event()).headers as object), data],
    ['Kafka, structured', kafka({ 'content-type': 'application/cloudevents+json' }), structured],
    ['Kafka, structured and not parsed', kafka({}), Buffer.from(JSON.stringify(structured))],
    ['AMQP, binary', amqp(named('cloudEvents:')), data],
    ['AMQP, binary for JMS', amqp(named('cloudEvents_')), data],
    ['AMQP, structured', amqp({}), structured],
    ['MQTT, binary', mqtt(named('')), data],
    [
      'protobuf',
      {},
      { id: 'e 1', source: SOURCE, specVersion: '1.0', type: 'order.paid', textData: data },
    ],
  ])('have the same name and content: %s', (_, context, payload) => {
    const call: IdempotentCall = new MessageCall('scope', payload, context);
    expect(source.read(call)).toBe(NAME);
    expect(source.content!(call)).toEqual(['order.paid', data]);
  });

  it('are named by both together, however long', () => {
    const read = (one: object): unknown =>
      source.read(new MessageCall('scope', { specversion: '1.0', type: 't', ...one }, {}));
    expect(read({ source: '/a', id: 'b c' })).not.toBe(read({ source: '/a/b', id: 'c' }));
    const long = { source: `/${'a'.repeat(300)}`, id: '1' };
    expect(read(long)).toMatch(/^sha256:/);
    expect(read({ ...long, id: '2' })).not.toBe(read(long));
    expect(() => read({ source: '/a b', id: 'c' })).toThrow('without spaces');
    expect(() => read({ source: '/a', id: 5 })).toThrow('source and an id');
  });

  it('are no events without their marks', () => {
    const read = (context: object, payload: unknown): unknown =>
      source.read(new MessageCall('scope', payload, context));
    expect(read(mqtt({ id: '1', source: '/a' }), {})).toBeUndefined();
    expect(read({}, { id: '1', source: '/a' })).toBeUndefined();
    expect(() => read({}, [structured])).toThrow('batch');
  });
});
