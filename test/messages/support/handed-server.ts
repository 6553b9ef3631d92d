import { type CustomTransportStrategy, Server } from '@nestjs/microservices';
import { firstValueFrom, toArray } from 'rxjs';

/** A transport without a network: a test hands messages over, with contexts of other transports. */
export class HandedServer extends Server implements CustomTransportStrategy {
  listen(callback: () => void): void {
    callback();
  }

  close(): void {}

  on(): void {}

  unwrap<T>(): T {
    throw new Error('There is nothing behind it.');
  }

  /** What the handler emits. */
  async hand(pattern: string | RegExp, data: unknown, context: unknown): Promise<unknown[]> {
    const route = typeof pattern === 'string' ? pattern : this.normalizePattern(pattern as never);
    const handler = this.getHandlerByPattern(route)!;
    const emitted = this.transformToObservable(await handler(data, context as never));
    return firstValueFrom(emitted.pipe(toArray()));
  }
}
