import {
  Body,
  type CallHandler,
  Controller,
  type NestInterceptor,
  Post,
  UseInterceptors,
} from '@nestjs/common';
import { MemoryStore } from 'nestjs-idempotency';
import type { HeapProfiler } from 'node:inspector';
import { Session } from 'node:inspector/promises';
import type { Observable } from 'rxjs';
import { MeasuredApp } from './cost.js';

const CALLS = 200;
/** Calls after which the code is compiled, and what is made once has been made. */
const WARM_UP = 100;
const SAMPLED_EVERY_BYTES = 8_192;

/**
 * What a call allocates beyond one through an interceptor that does nothing, in bytes: about 24 000 for a first
 * call and 5 000 for a replay. It does not depend on how busy the machine is, but sampling it is only good to
 * 2 500 bytes, so the bounds are far above that.
 */
const MOST_BYTES = { first: 40_000, replay: 20_000 };

class DoNothing implements NestInterceptor {
  intercept(_context: unknown, next: CallHandler): Observable<unknown> {
    return next.handle();
  }
}

@Controller()
class PlainOrders {
  @Post('plain')
  @UseInterceptors(DoNothing)
  plain(@Body() order: object): object {
    return { id: 1, ...order };
  }
}

/** Everything that was allocated below a frame of the profile. */
function sizeOf({ selfSize, children }: HeapProfiler.SamplingHeapProfileNode): number {
  return children.reduce((sum, child) => sum + sizeOf(child), selfSize);
}

describe('a call', () => {
  let app: MeasuredApp;
  let turn = 0;

  afterEach(() => app.close());

  async function bytesOf(url: string, key: () => string): Promise<number> {
    await app.repeat(WARM_UP, url, key);
    const session = new Session();
    session.connect();
    await session.post('HeapProfiler.startSampling', {
      samplingInterval: SAMPLED_EVERY_BYTES,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    } as object);
    await app.repeat(CALLS, url, key);
    const { profile } = await session.post('HeapProfiler.stopSampling');
    session.disconnect();
    return sizeOf(profile.head) / CALLS;
  }

  it('allocates no more than it did', async () => {
    app = await MeasuredApp.open(new MemoryStore(), [PlainOrders]);
    const floor = await bytesOf('/plain', app.newKey);
    const first = (await bytesOf('/protected', app.newKey)) - floor;
    const kept = Array.from({ length: 100 }, app.newKey);
    await app.repeat(kept.length, '/protected', () => kept[turn++ % kept.length]!);
    const replay = (await bytesOf('/protected', () => kept[turn++ % kept.length]!)) - floor;
    console.info(
      `bytes per call: ${floor} without, ${first} more for a first, ${replay} for a replay`,
    );
    expect(first).toBeLessThan(MOST_BYTES.first);
    expect(replay).toBeLessThan(MOST_BYTES.replay);
  });
});
