import {
  type CallHandler,
  Controller,
  type ExecutionContext,
  type NestInterceptor,
  Post,
  UseInterceptors,
} from '@nestjs/common';
import { Idempotent } from 'nestjs-idempotency';
import type { Observable } from 'rxjs';
import { boot, expectProblem, PLATFORMS, type TestApp } from '../support/http.js';

let reached: string[] = [];

class FurtherOut implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    reached.push('interceptor');
    return next.handle();
  }
}

@Controller('orders')
@UseInterceptors(FurtherOut)
class OrdersController {
  @Post()
  @Idempotent()
  order(): object {
    reached.push('handler');
    return {};
  }
}

describe.each(PLATFORMS)('a key in the head of a request on %s', (platform) => {
  let test: TestApp;

  beforeAll(async () => {
    test = await boot(platform, { controllers: [OrdersController] });
  });
  afterAll(() => test.close());
  beforeEach(() => {
    reached = [];
  });

  it.each([
    ['IDEMPOTENCY_KEY_REQUIRED', undefined],
    ['IDEMPOTENCY_KEY_INVALID', '"open'],
  ])('is refused with %s before any interceptor is reached', async (code, key) => {
    expectProblem(await test.send('/orders', { key }), 400, code);
    expect(reached).toEqual([]);
  });

  it('goes on to them when there is nothing wrong with it', async () => {
    expect((await test.send('/orders', { key: 'right' })).status).toBe(201);
    expect(reached).toEqual(['interceptor', 'handler']);
  });
});
