import { Body, Controller, Headers, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  ApiConflictResponse,
  ApiCreatedResponse,
  ApiHeader,
  ApiNotFoundResponse,
  ApiOperation,
  ApiProperty,
  ApiResponse,
  ApiServiceUnavailableResponse,
  ApiUnprocessableEntityResponse,
  type OpenAPIObject,
} from '@nestjs/swagger';
import { header, Idempotent, IdempotencyModule } from 'nestjs-idempotency';
import {
  complaintsOf,
  type DescribedOperation,
  documentOf,
  operationOf,
  refusalsOf,
  statusesWith,
  VERSIONS,
} from './support/document.js';

class Sold {
  @ApiProperty() receipt!: string;
}

class OutOfStock {
  @ApiProperty() left!: number;
}

const OUT_OF_STOCK = { schema: { $ref: '#/components/schemas/OutOfStock' } };

@Controller()
class Declared {
  @Post('sales')
  @Idempotent()
  @ApiOperation({ summary: 'Sells', description: 'Sells something.' })
  @ApiHeader({ name: 'idempotency-key', description: 'Ours.', schema: { format: 'uuid' } })
  @ApiCreatedResponse({
    description: 'Sold.',
    type: Sold,
    headers: { 'idempotent-replayed': { description: 'Ours.', schema: { type: 'boolean' } } },
  })
  @ApiConflictResponse({ description: 'Out of stock.', type: OutOfStock })
  @ApiNotFoundResponse({ description: 'There are no such goods.' })
  @ApiUnprocessableEntityResponse({
    description: 'Wrong.',
    content: {
      'application/problem+json': { ...OUT_OF_STOCK, examples: { none: { value: { left: 0 } } } },
    },
  })
  @ApiServiceUnavailableResponse({
    description: 'Closed.',
    content: { 'application/problem+json': { ...OUT_OF_STOCK, example: { left: 1 } } },
  })
  @ApiResponse({ status: 429, description: 'Too many.' })
  sell(@Body() _sold: Sold) {}

  @Post('kept')
  @Idempotent({ key: header('X-Serial'), onError: () => 'store' })
  @ApiResponse({ status: 502, description: 'The bank is away.' })
  kept(@Headers('x-serial') _serial: string) {}
}

describe('what the application declares itself', () => {
  let documents: OpenAPIObject[];
  let document: OpenAPIObject;
  let sell: DescribedOperation;

  beforeAll(async () => {
    @Module({ imports: [IdempotencyModule.forRoot()], controllers: [Declared] })
    class AppModule {}
    const app = await NestFactory.create(AppModule, { logger: false });
    documents = VERSIONS.map((version) => documentOf(app, version));
    document = documents[0]!;
    sell = operationOf(document, 'POST /sales');
    await app.close();
  });

  it('makes a valid document together with ours', async () => {
    for (const each of documents) expect(await complaintsOf(each)).toEqual([]);
  });

  it('is kept of a parameter, and completed', () => {
    expect(sell.parameters).toEqual([
      {
        name: 'idempotency-key',
        in: 'header',
        required: true,
        description: 'Ours.',
        schema: expect.objectContaining({ format: 'uuid' }),
      },
    ]);
    const kept = operationOf(document, 'POST /kept');
    expect(kept.parameters).toEqual([
      expect.objectContaining({
        name: 'x-serial',
        required: true,
        schema: { type: 'string' },
        description: expect.stringContaining('Part of the key of the operation'),
      }),
    ]);
  });

  it('is kept of a reply and its headers', () => {
    expect(sell.responses['201']).toMatchObject({
      description: 'Sold.',
      content: { 'application/json': { schema: { $ref: '#/components/schemas/Sold' } } },
    });
    expect(sell.responses['201']?.headers).toEqual({
      'idempotent-replayed': { description: 'Ours.', schema: { type: 'boolean' } },
    });
  });

  it('is kept of the description, which goes on with ours', () => {
    expect(sell.description).toMatch(/^Sells something\.\n\nSafe to repeat: /);
  });

  it('stands beside the refusals of the same status', () => {
    const { description, content } = sell.responses['409']!;
    expect(description).toBe('Out of stock.');
    expect(content).toMatchObject({ 'application/json': OUT_OF_STOCK });
    expect(refusalsOf(sell)['409']).toContain('IDEMPOTENCY_KEY_IN_USE');
  });

  it('is one of two where the content type is the same', () => {
    const { description, content } = sell.responses['422']!;
    expect(description).toBe('Wrong.');
    expect(content!['application/problem+json']).toEqual({
      schema: {
        anyOf: [OUT_OF_STOCK.schema, { $ref: '#/components/schemas/IdempotencyProblem' }],
      },
      examples: {
        none: { value: { left: 0 } },
        IDEMPOTENCY_KEY_REUSED: expect.objectContaining({ summary: 'Idempotency key reused' }),
      },
    });
    expect(sell.responses['503']!.content!['application/problem+json']).not.toHaveProperty(
      'examples',
    );
  });

  it('is marked as replayed where it is recorded', () => {
    // Conflicts and throttling pass: they are not kept.
    expect(statusesWith(sell, 'Idempotent-Replayed')).toEqual(['404', '422']);
    const kept = operationOf(document, 'POST /kept');
    expect(statusesWith(kept, 'Idempotent-Replayed')).toEqual(['502']);
  });
});
