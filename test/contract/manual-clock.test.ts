import { ManualClock } from '../../src/testing/index.js';

describe('ManualClock', () => {
  test('stands still until it is advanced', async () => {
    const clock = new ManualClock(5);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(clock.now()).toBe(5);
    await clock.advance(10);
    expect(clock.now()).toBe(15);
  });

  test('fires timers in the order of their times, then of their setting, at their times', async () => {
    const clock = new ManualClock();
    const fired: string[] = [];
    const set = (name: string, delayMs: number): void => {
      clock.after(delayMs, () => fired.push(`${name} at ${clock.now()}`));
    };
    set('c', 30);
    set('a', 10);
    set('b1', 20);
    set('b2', 20);
    await clock.advance(25);
    expect(fired).toEqual(['a at 10', 'b1 at 20', 'b2 at 20']);
    expect(clock.now()).toBe(25);
    expect(clock.pendingTimers).toBe(1);
  });

  test('does not fire a timer before its time, nor twice, nor one that was cancelled', async () => {
    const clock = new ManualClock();
    let count = 0;
    clock.after(10, () => (count += 1));
    const cancel = clock.after(10, () => (count += 100));
    await clock.advance(9);
    expect(count).toBe(0);
    cancel();
    cancel();
    await clock.advance(1);
    await clock.advance(100);
    expect(count).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });

  test('lets what a timer starts run to its end before the next timer fires', async () => {
    const clock = new ManualClock();
    const log: string[] = [];
    clock.after(10, () => {
      void (async () => {
        for (let step = 0; step < 50; step += 1) await Promise.resolve();
        log.push('first is done');
      })();
    });
    clock.after(11, () => log.push('second fires'));
    await clock.advance(20);
    expect(log).toEqual(['first is done', 'second fires']);
  });

  test('lets what was started before run first, and fires the timers that it sets', async () => {
    const clock = new ManualClock();
    let woken = -1;
    const sleep = (ms: number): Promise<void> =>
      new Promise((resolve) => {
        clock.after(ms, resolve);
      });
    const work = (async () => {
      await Promise.resolve();
      await sleep(10);
      await sleep(20);
      woken = clock.now();
    })();
    await clock.advance(100);
    expect(woken).toBe(30);
    await work;
  });

  test('fires a timer of zero milliseconds at the next advance, not on the spot', async () => {
    const clock = new ManualClock();
    let isFired = false;
    clock.after(0, () => (isFired = true));
    expect(isFired).toBe(false);
    await clock.advance(0);
    expect(isFired).toBe(true);
  });

  test('fires timers months away', async () => {
    const clock = new ManualClock();
    let firedAt = -1;
    clock.after(2 ** 33, () => (firedAt = clock.now()));
    await clock.advance(2 ** 33 - 1);
    expect(firedAt).toBe(-1);
    await clock.advance(1);
    expect(firedAt).toBe(2 ** 33);
  });

  test.each([-1, NaN])('refuses to advance by %d', async (ms) => {
    await expect(new ManualClock().advance(ms)).rejects.toThrow(RangeError);
  });
});
