import { randomBytes } from 'node:crypto';
import fc from '../support/properties.js';
import { type Binding, Seal, UnreadableContentError } from '../../src/encryption/seal.js';
import { SealedStore } from '../../src/encryption/sealed.store.js';
import { Xaes256Gcm } from '../../src/encryption/xaes-256-gcm.js';
import { MemoryStore } from '../../src/stores/memory/index.js';
import { ManualClock, storeContract } from '../../src/testing/index.js';

const REPLY: Binding = ['a'.repeat(64), 'reply'];
const key = randomBytes(32);
const seal = new Seal({ keys: [key] });

describe('XAES-256-GCM', () => {
  // https://github.com/C2SP/C2SP/blob/main/XAES-256-GCM.md, section "Test vectors"
  it.each([
    [0x01, '', 'ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271'],
    [0x03, 'c2sp.org/XAES-256-GCM', '986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d'],
  ])('gives what its specification gives for a key of %d', (byte, associated, expected) => {
    const cipher = new Xaes256Gcm(Buffer.alloc(32, byte));
    const nonce = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWX');
    const sealed = cipher.seal(Buffer.from('XAES-256-GCM'), Buffer.from(associated), nonce);
    expect(sealed.subarray(24).toString('hex')).toBe(expected);
    expect(cipher.open(sealed, Buffer.from(associated)).toString()).toBe('XAES-256-GCM');
  });
});

describe('a seal', () => {
  it('gives back any bytes, and never the same sealed ones', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
        const sealed = [seal.seal(bytes, REPLY), seal.seal(bytes, REPLY)];
        expect(sealed[0]).not.toEqual(sealed[1]);
        for (const one of sealed)
          expect(Buffer.from(bytes).equals(seal.open(one, REPLY))).toBe(true);
      }),
    );
  });

  it('is not opened with any bit changed, nor cut off', () => {
    const sealed = seal.seal(Buffer.from('paid'), REPLY);
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Buffer.from(sealed);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => seal.open(changed, REPLY)).toThrow(UnreadableContentError);
    }
    for (let length = 0; length < sealed.length; length++)
      expect(() => seal.open(sealed.subarray(0, length), REPLY)).toThrow(UnreadableContentError);
  });

  it.each<[string, Binding]>([
    ['another record', ['b'.repeat(64), 'reply']],
    ['a step', [REPLY[0], 'step', 'charge']],
  ])('is not opened as that of %s', (_name, binding) => {
    expect(() => seal.open(seal.seal(Buffer.from('paid'), REPLY), binding)).toThrow(
      'belongs to another record',
    );
  });

  it('is opened by every key, and closed by the first', () => {
    const other = randomBytes(32);
    const rotated = new Seal({ keys: [other.toString('base64'), key.toString('hex')] });
    const old = seal.seal(Buffer.from('old'), REPLY);
    expect(Buffer.from(rotated.open(old, REPLY)).toString()).toBe('old');
    const young = rotated.seal(Buffer.from('young'), REPLY);
    expect(() => seal.open(young, REPLY)).toThrow('not in `encryption.keys`');
    const onlyOther = new Seal({ keys: [other.toString('base64url')] });
    expect(Buffer.from(onlyOther.open(young, REPLY)).toString()).toBe('young');
  });
});

describe('a store that is sealed keeps the contract', () => {
  for (const { guarantee, name, run } of storeContract) {
    // oxlint-disable-next-line jest/expect-expect -- the cases assert
    test(`${guarantee}: ${name}`, async () => {
      const clock = new ManualClock();
      const store = new SealedStore(new MemoryStore({ clock }), seal);
      await run({ store, other: store, tickMs: 200, elapse: (ms) => clock.advance(ms) });
    });
  }
});
