import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import { systemClock } from '../../src/engine/clock.js';
import { TimerWheel } from '../../src/engine/timer-wheel.js';
import { eventually } from '../support/http.js';

/** Nothing happens in the process meanwhile; others go on. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

describe('the clock of the process', () => {
  it('fires after what arrived while the process stood still', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [peer] = (await once(server, 'connection')) as [Socket];
    const events: string[] = [];
    client.on('data', () => events.push('answer'));

    const fired = new Promise<void>((resolve) => {
      systemClock.after(20, () => {
        events.push('time-out');
        resolve();
      });
    });
    peer.write('answer');
    standStill(60);
    await fired;

    expect(events).toEqual(['answer', 'time-out']);
    client.destroy();
    server.close();
  });

  it('fires once, unless it is cancelled', async () => {
    const events: string[] = [];
    const cancel = systemClock.after(5, () => events.push('cancelled'));
    systemClock.after(10, () => events.push('fired'));
    cancel();
    await eventually(() => events.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(events).toEqual(['fired']);
    cancel();
  });
});

describe('longer timers', () => {
  it('share one timer of the process, and need none once they are cancelled', async () => {
    let made = 0;
    // Of the wheel: what earlier tests of the worker have left may make timers too.
    const hook = createHook({
      init: (_id, type) =>
        void (type === 'Timeout' && new Error().stack!.includes('timer-wheel') && (made += 1)),
    }).enable();
    const cancels = Array.from({ length: 1_000 }, (_, i) =>
      systemClock.after(1_000 + i, () => undefined),
    );
    for (const cancel of cancels) cancel();
    expect(made).toBeLessThanOrEqual(1);

    const wheel = new TimerWheel();
    made = 0;
    wheel.set(20, () => undefined).cancel();
    expect(made).toBe(1);
    for (let i = 0; i < 1_000; i++) wheel.set(20 + (i % 100), () => undefined).cancel();
    made = 0;
    await new Promise((resolve) => setTimeout(resolve, 200));
    hook.disable();
    // Nothing is looked for again.
    expect(made).toBe(0);
  });

  it('fire once each, never early, in the order in which they are due', async () => {
    const wheel = new TimerWheel();
    const fired: number[] = [];
    const startedAt = performance.now();
    const early: number[] = [];
    for (const delayMs of [120, 40, 80, 40.5, 200])
      wheel.set(delayMs, () => {
        fired.push(delayMs);
        if (performance.now() - startedAt < delayMs) early.push(delayMs);
      });
    wheel.set(60, () => fired.push(NaN)).cancel();
    await eventually(() => fired.length === 5);
    expect(fired.toSorted((a, b) => a - b)).toEqual([40, 40.5, 80, 120, 200]);
    expect(fired.filter((delayMs) => delayMs !== 40.5)).toEqual([40, 80, 120, 200]);
    expect(early).toEqual([]);
  });

  it('fire also when one before them throws, sets others, or cancels those that are due', async () => {
    const wheel = new TimerWheel();
    const fired: string[] = [];
    const thrown: unknown[] = [];
    // Nothing but this listens in this process, so that the error does not end it.
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.once('uncaughtException', (error) => thrown.push(error));
    try {
      wheel.set(20, () => {
        throw new Error('of one timer');
      });
      const cancelled = wheel.set(20, () => fired.push('first'));
      const other = wheel.set(20, () => fired.push('cancelled by the one before'));
      cancelled.fire = () => {
        other.cancel();
        wheel.set(1, () => fired.push('set by another'));
        fired.push('first');
      };
      await eventually(() => fired.length === 2 && thrown.length === 1);
      expect(fired).toEqual(['first', 'set by another']);
    } finally {
      for (const listener of listeners) process.on('uncaughtException', listener);
    }
  });

  it('fire after what arrived while the process stood still, and keep no context of a call', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [peer] = (await once(server, 'connection')) as [Socket];
    const events: unknown[] = [];
    client.on('data', () => events.push('answer'));
    const calls = new AsyncLocalStorage<string>();
    const wheel = new TimerWheel();
    calls.run('a call', () => wheel.set(20, () => events.push(calls.getStore())));
    peer.write('answer');
    standStill(80);
    await eventually(() => events.length === 2);
    expect(events).toEqual(['answer', undefined]);
    client.destroy();
    server.close();
  });
});
