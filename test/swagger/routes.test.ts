import { BullModule } from '@nestjs/bullmq';
import {
  All,
  Body,
  Controller,
  type INestApplication,
  Module,
  Post,
  type Type,
  Version,
  VersioningType,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  ApiAcceptedResponse,
  ApiExcludeEndpoint,
  ApiExtension,
  ApiProperty,
  DocumentBuilder,
} from '@nestjs/swagger';
import {
  Idempotent,
  IdempotencyModule,
  type IdempotencyModuleOptions,
  isIdempotencyConfigurationError,
  keySource,
} from 'nestjs-idempotency';
import {
  IdempotencyStrategy,
  type IdempotencyStrategyContract,
  type StrategyPlan,
} from 'nestjs-idempotency/contracts';
import { IdempotencyQueueModule } from 'nestjs-idempotency/bullmq';
import { createIdempotentDocument } from 'nestjs-idempotency/swagger';
import { HandlerRegistry } from '../../src/handlers/handler-registry.js';
import { boot, type TestApp } from '../support/http.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';
import {
  complaintsOf,
  type DescribedOperation,
  documentOf,
  operationOf,
  refusalsOf,
  statusesWith,
} from './support/document.js';

@Controller('payments')
class Payments {
  @Post(['', 'now'])
  @Idempotent({ ttl: '1h' })
  pay() {}

  @Post('secret')
  @ApiExcludeEndpoint()
  @Idempotent()
  secret() {}

  @Post('described')
  @ApiExtension('x-idempotency', { see: 'the manual' })
  @Idempotent()
  described() {}
}

@Controller({ path: 'orders', version: ['1', '2'] })
class Orders {
  @Post()
  @Idempotent({ ttl: '2h' })
  place() {}

  @Post()
  @Version('3')
  @Idempotent({ ttl: '3h' })
  placeLater() {}
}

@Controller('everything')
class Everything {
  @All()
  @Idempotent()
  any() {}
}

/** Its route belongs to whoever extends it. */
abstract class Inherited {
  @Post(':id/run')
  @Idempotent()
  run() {}
}

@Controller('slow')
@Idempotent({ ttl: '4h' })
class Slow extends Inherited {
  @Post('own')
  own() {}
}

@Controller('fast')
@Idempotent({ ttl: '5m' })
class Fast extends Inherited {}

/** Runs while there is light. */
@IdempotencyStrategy('daylight')
class Daylight implements IdempotencyStrategyContract {
  plan(): StrategyPlan {
    return {
      key: keySource('the date', () => new Date().toDateString()),
      comparesContent: false,
      keepsReply: true,
      published: {
        unmet: [{ code: 'IDEMPOTENCY_STATE_CONFLICT', status: 423 }],
        headers: { 'X-Sunset': 'When it ends.' },
      },
      begin: () => ({}),
    };
  }
}

declare module 'nestjs-idempotency' {
  interface IdempotencyStrategies {
    daylight: true;
  }
}

@Controller('gardens')
class Gardens {
  @Post()
  @Idempotent({ strategy: 'daylight' })
  water() {}
}

interface Setting {
  readonly controllers: Type[];
  readonly idempotency?: IdempotencyModuleOptions;
  readonly providers?: Type[];
  readonly configure?: (app: INestApplication) => unknown;
}

const apps: INestApplication[] = [];
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close();
});

async function start({ controllers, providers, idempotency, configure }: Setting) {
  @Module({ imports: [IdempotencyModule.forRoot(idempotency)], controllers, providers })
  class AppModule {}
  const app = await NestFactory.create(AppModule, { logger: false, abortOnError: false });
  apps.push(app);
  configure?.(app);
  await app.init();
  return app;
}

const ttlOf = (operation: DescribedOperation) => operation['x-idempotency']?.ttl;

describe('the document', () => {
  it('describes every route of a handler', async () => {
    const document = documentOf(await start({ controllers: [Payments] }));
    for (const route of ['POST /payments', 'POST /payments/now'])
      expect(ttlOf(operationOf(document, route))).toBe('1h');
  });

  it('has no operation that the application has excluded', async () => {
    const document = documentOf(await start({ controllers: [Payments] }));
    expect(Object.keys(document.paths)).not.toContain('/payments/secret');
  });

  it('keeps what the application itself publishes as x-idempotency', async () => {
    const document = documentOf(await start({ controllers: [Payments] }));
    const operation = operationOf(document, 'POST /payments/described');
    expect(operation['x-idempotency']).toEqual({ see: 'the manual' });
    expect(refusalsOf(operation)).toHaveProperty('422');
  });

  it('finds routes behind a global prefix and versions', async () => {
    const app = await start({
      controllers: [Orders],
      configure: (app) => app.setGlobalPrefix('api').enableVersioning({ type: VersioningType.URI }),
    });
    const document = documentOf(app);
    expect(ttlOf(operationOf(document, 'POST /api/v1/orders'))).toBe('2h');
    expect(ttlOf(operationOf(document, 'POST /api/v2/orders'))).toBe('2h');
    expect(ttlOf(operationOf(document, 'POST /api/v3/orders'))).toBe('3h');
  });

  it('decides on nothing that may still change when it is made early', async () => {
    const app = await start({
      controllers: [Payments],
      configure: (app) => {
        documentOf(app);
        app.setGlobalPrefix('api');
      },
    });
    expect(ttlOf(operationOf(documentOf(app), 'POST /api/payments'))).toBe('1h');
    expect(app.get(HandlerRegistry).hasScope('http', 'POST /api/payments')).toBe(true);
  });

  it('takes the options of createDocument()', async () => {
    const app = await start({
      controllers: [Slow, Fast],
      configure: (app) => app.setGlobalPrefix('api'),
    });
    const config = new DocumentBuilder().build();
    const document = createIdempotentDocument(app, config, { ignoreGlobalPrefix: true });
    expect(ttlOf(operationOf(document, 'POST /slow/{id}/run'))).toBe('4h');
    expect(ttlOf(operationOf(document, 'POST /fast/{id}/run'))).toBe('5m');
  });

  it('tells classes apart that have inherited a handler, and describes those of their own', async () => {
    const document = documentOf(await start({ controllers: [Slow, Fast] }));
    expect(ttlOf(operationOf(document, 'POST /slow/{id}/run'))).toBe('4h');
    expect(ttlOf(operationOf(document, 'POST /slow/own'))).toBe('4h');
    expect(ttlOf(operationOf(document, 'POST /fast/{id}/run'))).toBe('5m');
  });

  it('describes the methods of @All() that change state', async () => {
    const document = documentOf(await start({ controllers: [Everything] }));
    expect(ttlOf(operationOf(document, 'DELETE /everything'))).toBe('24h');
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      const operation = operationOf(document, `${method} /everything`);
      expect(Object.keys(operation).filter((name) => name.startsWith('x-'))).toEqual([]);
      expect(operation.parameters).toEqual([]);
    }
  });

  it('says what a strategy of the application publishes', async () => {
    const app = await start({ controllers: [Gardens], providers: [Daylight] });
    const operation = operationOf(documentOf(app), 'POST /gardens');
    expect(operation['x-idempotency']).toMatchObject({ strategy: 'daylight', key: 'the date' });
    expect(refusalsOf(operation)).toMatchObject({ 423: ['IDEMPOTENCY_STATE_CONFLICT'] });
    expect(operation.responses['201']?.headers).toHaveProperty('X-Sunset');
  });

  it('has the header and the problem types of the module', async () => {
    const app = await start({
      controllers: [Payments],
      idempotency: { header: 'X-Request-Key', problemBaseUrl: 'https://shop.example/problems/' },
    });
    const { parameters, responses } = operationOf(documentOf(app), 'POST /payments');
    expect(parameters.map(({ name }) => name)).toEqual(['X-Request-Key']);
    expect(JSON.stringify(responses['422'])).toContain(
      '"type":"https://shop.example/problems/key-reused"',
    );
  });

  it('says of the same handlers what each application makes of them', async () => {
    const ttls = [];
    for (const ttl of ['1d', '7d'] as const) {
      const app = await start({
        controllers: [Gardens],
        providers: [Daylight],
        idempotency: { defaults: { ttl } },
      });
      ttls.push(ttlOf(operationOf(documentOf(app), 'POST /gardens')));
    }
    expect(ttls).toEqual(['24h', '7d']);
  });

  it('says what tokens may be asked for', async () => {
    const options = { tokens: { purposes: ['order', 'refund'] }, tokenController: true };
    const app = await start({ controllers: [], idempotency: options });
    const { requestBody } = operationOf(documentOf(app), 'POST /idempotency/tokens');
    expect(JSON.stringify(requestBody)).toContain('"enum":["order","refund"]');
  });

  it('cannot be made of an application without the module', async () => {
    @Module({ controllers: [] })
    class Bare {}
    const app = await NestFactory.create(Bare, { logger: false });
    apps.push(app);
    let error: unknown;
    try {
      documentOf(app);
    } catch (caught) {
      error = caught;
    }
    expect(isIdempotencyConfigurationError(error)).toBe(true);
    expect((error as Error).message).toContain('IdempotencyModule.forRoot()');
  });
});

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
