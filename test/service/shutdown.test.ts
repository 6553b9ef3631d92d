import { Controller, Post } from '@nestjs/common';
import { Idempotent, IdempotencyService, MemoryStore } from 'nestjs-idempotency';
import { FaultInjectingStore, failBefore } from 'nestjs-idempotency/testing';
import { boot, PLATFORMS } from '../support/http.js';

@Controller()
class OrdersController {
  @Idempotent()
  @Post('orders')
  order(): string {
    return 'ordered';
  }
}

describe.each(PLATFORMS)('an application that shuts down (%s)', (platform) => {
  it('tells its listeners of what is recorded on the way, and only then that it is over', async () => {
    const store = new FaultInjectingStore(new MemoryStore());
    const shop = await boot(platform, { controllers: [OrdersController], idempotency: { store } });
    const heard: string[] = [];
    shop.app.get(IdempotencyService).events$.subscribe({
      next: ({ type }) => heard.push(type),
      complete: () => heard.push('over'),
    });
    store.next('complete', failBefore());
    expect((await shop.send('/orders', { key: 'late', body: {} })).status).toBe(201);
    expect(heard).toEqual(['claimed', 'executed', 'completion-failed']);

    await shop.close();

    expect(heard.slice(3)).toEqual(['stored', 'over']);
  });
});
