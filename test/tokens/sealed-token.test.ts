import { MemoryStore } from 'nestjs-idempotency';
import { FaultInjectingStore } from 'nestjs-idempotency/testing';
import { IdempotencyEngine } from '../../src/engine/engine.js';
import { StoreCalls } from '../../src/engine/store-calls.js';
import { systemClock } from '../../src/engine/clock.js';
import { tokenExpiry, TokenSeal } from '../../src/tokens/sealed-token.js';
import { TokenService } from '../../src/tokens/token.service.js';
import { SECRET } from './support/token-shop.js';
import { newDeferred } from '../support/deferred.js';

const OLD = 'the secret of last month, 32 bytes and more';
const BINDING = { purpose: 'order', owner: 'principal alice' };
const EXPIRES_AT_MS = 1_763_700_000_123;

describe('a sealed token', () => {
  const seal = new TokenSeal([SECRET]);
  const token = seal.make(EXPIRES_AT_MS, BINDING);

  it('is genuine for its purpose and its owner, and says when it expires', () => {
    expect(seal.isGenuine(token, BINDING)).toBe(true);
    expect(tokenExpiry(token)).toBe(EXPIRES_AT_MS);
    expect(seal.isGenuine(token, { ...BINDING, purpose: 'orders' })).toBe(false);
    expect(seal.isGenuine(token, { ...BINDING, owner: 'principal alic' })).toBe(false);
    expect(seal.isGenuine(token, { purpose: 'order","', owner: 'principal alice' })).toBe(false);
  });

  it('is another one every time', () => {
    expect(seal.make(EXPIRES_AT_MS, BINDING)).not.toBe(token);
  });

  it('has a single spelling', () => {
    let spelledOtherwise = 0;
    while (spelledOtherwise < 20) {
      const other = seal.make(EXPIRES_AT_MS, BINDING);
      const plain = other.replaceAll('-', '+').replaceAll('_', '/');
      if (plain === other) continue;
      spelledOtherwise += 1;
      expect(Buffer.from(plain, 'base64url')).toEqual(Buffer.from(other, 'base64url'));
      expect(seal.isGenuine(plain, BINDING)).toBe(false);
      expect(tokenExpiry(plain)).toBeUndefined();
    }
    for (const padded of [`${token}=`, `${token}\n`, ` ${token}`, `${token}A`])
      expect(seal.isGenuine(padded, BINDING)).toBe(false);
  });

  it('is not genuine with any of its characters changed or missing', () => {
    for (let at = 0; at < token.length; at++) {
      const other = token[at] === 'A' ? 'B' : 'A';
      expect(seal.isGenuine(token.slice(0, at) + other + token.slice(at + 1), BINDING)).toBe(false);
      expect(seal.isGenuine(token.slice(0, at), BINDING)).toBe(false);
    }
  });

  it('outlives its secret as long as that is in the list', () => {
    const before = new TokenSeal([OLD]);
    const during = new TokenSeal([SECRET, Buffer.from(OLD)]);
    const old = before.make(EXPIRES_AT_MS, BINDING);
    expect(during.isGenuine(old, BINDING)).toBe(true);
    expect(during.isGenuine(token, BINDING)).toBe(true);
    expect(seal.isGenuine(during.make(EXPIRES_AT_MS, BINDING), BINDING)).toBe(true);
    expect(seal.isGenuine(old, BINDING)).toBe(false);
  });
});

test('ten thousand signed tokens leave nothing in the store, and ask it for nothing', async () => {
  const store = new FaultInjectingStore(new MemoryStore());
  const calls = new StoreCalls(store, systemClock, 2_000);
  const engine = new IdempotencyEngine(
    calls,
    systemClock,
    { hasListeners: false, emit() {} },
    newDeferred(),
  );
  const service = new TokenService(engine, { tokens: { mode: 'signed', secrets: [SECRET] } });
  for (let issued = 0; issued < 10_000; issued++)
    await service.issue({ principal: issued, purpose: 'order' });
  expect(store.calls).toEqual([]);
});
