import { type LockServerName, openLocks } from '../support/lock-clients.js';

/** Takes one lock, says its token, and works until it is told otherwise. */
const { SERVER, PORT, ID, LEASE_MS } = process.env;
const { locks } = openLocks(SERVER as LockServerName, Number(PORT), Number(LEASE_MS));
const held = await locks.acquire({
  id: ID!,
  leaseMs: Number(LEASE_MS),
  waits: true,
  signal: new AbortController().signal,
  onWait: () => undefined,
});

held!.signal.addEventListener('abort', () => process.send?.('lost'));
process.on('message', () => void release());

async function release(): Promise<void> {
  const isHeld = await held!.confirm();
  const wasOurs = await held!.release();
  process.send?.({ isHeld, wasOurs });
}

process.send?.({ token: held!.fencingToken });
