import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { systemClock } from '../../src/engine/clock.js';

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
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(events).toEqual(['fired']);
    cancel();
  });
});
