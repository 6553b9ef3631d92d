import { BullModule } from '@nestjs/bullmq';
import { Body, Controller, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiProperty } from '@nestjs/swagger';
import { Idempotent } from 'nestjs-idempotency';
import { IdempotencyQueueModule } from 'nestjs-idempotency/bullmq';
import { boot, type TestApp } from '../support/http.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';
import { complaintsOf, documentOf, operationOf, statusesWith } from './support/document.js';

class Receipt {
  @ApiProperty() id!: string;
}

@Controller()
class Imports {
  @Post('imports')
  @Idempotent({ strategy: 'queue', queue: 'imports' })
  import(@Body() body: unknown) {
    return body;
  }

  @Post('declared')
  @Idempotent({ strategy: 'queue', queue: 'imports' })
  @ApiAcceptedResponse({ description: 'On the queue.', type: Receipt })
  declared() {}
}

describe('a route that puts its work on a queue', () => {
  let server: PrivateServer;
  let test: TestApp;

  beforeAll(async () => {
    server = await startRedis();
    test = await boot('express', {
      controllers: [Imports],
      imports: [
        BullModule.forRoot({ connection: { host: '127.0.0.1', port: server.port } }),
        BullModule.registerQueue({ name: 'imports' }),
        IdempotencyQueueModule,
      ],
    });
  });
  afterAll(async () => {
    await test?.close();
    await server?.stop();
  });

  it('is described with what it answers instead of the handler', async () => {
    const document = documentOf(test.app);
    expect(await complaintsOf(document)).toEqual([]);
    const operation = operationOf(document, 'POST /imports');
    const reply = await test.send('/imports', { key: '1', body: { rows: 1 } });
    expect(Object.keys(operation.responses).filter((status) => status < '400')).toEqual([
      String(reply.status),
    ]);
    expect(reply.headers).toHaveProperty('location');
    expect(statusesWith(operation, 'Location')).toEqual([String(reply.status)]);
    const { schema } = operation.responses[reply.status]!.content!['application/json']!;
    expect(Object.keys(reply.json() as object)).toEqual(
      (schema as { required: string[] }).required,
    );
  });

  it('is described as the application does it', () => {
    const { responses } = operationOf(documentOf(test.app), 'POST /declared');
    expect(responses['202']).toMatchObject({
      description: 'On the queue.',
      content: { 'application/json': { schema: { $ref: '#/components/schemas/Receipt' } } },
      headers: { Location: {}, 'Idempotent-Replayed': {} },
    });
  });
});
