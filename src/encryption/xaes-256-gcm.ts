import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const BLOCK_BYTES = 16;
/** What every input of the key derivation begins with: counter, label, separator. */
const DERIVATION_PREFIXES = [Buffer.from([0, 1, 0x58, 0]), Buffer.from([0, 2, 0x58, 0])] as const;
const GCM = 'aes-256-gcm';

export const KEY_BYTES = 32;
export const NONCE_BYTES = 24;
export const TAG_BYTES = 16;

/**
 * AES-256-GCM with a nonce so long that two random ones are never the same: its first half derives
 * a separate key for every message. Source: XAES-256-GCM (https://c2sp.org/XAES-256-GCM). Plain
 * AES-256-GCM allows 2^32 messages with random nonces under one key (NIST SP 800-38D, section 8.3).
 */
export class Xaes256Gcm {
  /** The subkey K1 of CMAC (NIST SP 800-38B, section 6.1). */
  private readonly k1: Buffer;

  /** @param key 32 bytes */
  constructor(private readonly key: Uint8Array) {
    this.k1 = doubled(this.encryptBlocks(Buffer.alloc(BLOCK_BYTES)));
  }

  /** Nonce, ciphertext and tag. */
  seal(
    plain: Uint8Array,
    associated: Uint8Array,
    nonce: Uint8Array = randomBytes(NONCE_BYTES),
  ): Buffer {
    const [key, iv] = this.derive(nonce);
    const cipher = createCipheriv(GCM, key, iv, { authTagLength: TAG_BYTES }).setAAD(associated);
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  /** @throws when key, content or associated data are not those that were sealed */
  open(sealed: Uint8Array, associated: Uint8Array): Buffer {
    if (sealed.length < NONCE_BYTES + TAG_BYTES) throw new Error('The sealed bytes are cut off.');
    const [key, iv] = this.derive(sealed.subarray(0, NONCE_BYTES));
    const decipher = createDecipheriv(GCM, key, iv, { authTagLength: TAG_BYTES })
      .setAAD(associated)
      .setAuthTag(sealed.subarray(-TAG_BYTES));
    const plain = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES));
    return Buffer.concat([plain, decipher.final()]);
  }

  private derive(nonce: Uint8Array): [key: Buffer, iv: Uint8Array] {
    const half = nonce.subarray(0, NONCE_BYTES / 2);
    const blocks = DERIVATION_PREFIXES.map((prefix) =>
      Buffer.concat([prefix, half]).map((byte, at) => byte ^ this.k1[at]!),
    );
    return [this.encryptBlocks(Buffer.concat(blocks)), nonce.subarray(NONCE_BYTES / 2)];
  }

  private encryptBlocks(blocks: Uint8Array): Buffer {
    return createCipheriv('aes-256-ecb', this.key, null).setAutoPadding(false).update(blocks);
  }
}

/** Multiplication by x in GF(2^128). */
function doubled(block: Buffer): Buffer {
  const value = BigInt(`0x${block.toString('hex')}`) << 1n;
  const mask = (1n << 128n) - 1n;
  const reduced = (value & mask) ^ (value > mask ? 0x87n : 0n);
  return Buffer.from(reduced.toString(16).padStart(BLOCK_BYTES * 2, '0'), 'hex');
}
