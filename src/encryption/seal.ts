import { createHash } from 'node:crypto';
import { type EncryptionOptions, keysOf } from './encryption-options.js';
import { Xaes256Gcm } from './xaes-256-gcm.js';

/**
 * Layout of sealed bytes: this byte (unsealed content begins with another one), one byte for the
 * format's version, four that name the key, then nonce, ciphertext and tag.
 */
const SEALED = 0x53;
const VERSION = 1;
const KEY_ID_BYTES = 4;
const HEAD_BYTES = 2 + KEY_ID_BYTES;

/** What sealed bytes belong to. They cannot be opened as anything else. */
export type Binding =
  | readonly [id: string, part: 'reply' | 'failure']
  | readonly [id: string, part: 'step', name: string];

/** The content of a record cannot be decrypted. */
export class UnreadableContentError extends Error {
  override readonly name = 'UnreadableContentError';
}

interface Key {
  readonly head: Buffer;
  readonly cipher: Xaes256Gcm;
}

/** Seals (encrypts) what a record keeps, and opens it again. */
export class Seal {
  private readonly keys: readonly Key[];
  private readonly acceptsPlain: boolean;

  /** @throws {@link IdempotencyConfigurationError} */
  constructor(options: EncryptionOptions) {
    this.keys = keysOf(options).map((key) => ({
      head: Buffer.from([SEALED, VERSION, ...keyIdOf(key)]),
      cipher: new Xaes256Gcm(key),
    }));
    this.acceptsPlain = options.acceptPlain ?? false;
  }

  seal(plain: Uint8Array, binding: Binding): Uint8Array {
    const { head, cipher } = this.keys[0]!;
    return Buffer.concat([head, cipher.seal(plain, associated(head, binding))]);
  }

  /** @throws {@link UnreadableContentError} */
  open(bytes: Uint8Array, binding: Binding): Uint8Array {
    if (bytes[0] !== SEALED) {
      if (this.acceptsPlain) return bytes;
      throw new UnreadableContentError(
        'The record was written without encryption. `encryption.acceptPlain: true` reads it.',
      );
    }
    const head = bytes.subarray(0, HEAD_BYTES);
    const keys = this.keys.filter((key) => key.head.equals(head));
    if (keys.length === 0)
      throw new UnreadableContentError(
        'The record was encrypted with a key that is not in `encryption.keys`.',
      );
    let cause: unknown;
    for (const { cipher } of keys) {
      try {
        return cipher.open(bytes.subarray(HEAD_BYTES), associated(head, binding));
      } catch (error) {
        cause = error;
      }
    }
    throw new UnreadableContentError(
      'The content of the record was changed, or it belongs to another record.',
      { cause },
    );
  }
}

/** Reveals nothing about the key itself. */
function keyIdOf(key: Uint8Array): Buffer {
  const digest = createHash('sha256').update('nestjs-idempotency:key-id').update(key).digest();
  return digest.subarray(0, KEY_ID_BYTES);
}

/** JSON frames the parts, so that no two bindings look the same. */
function associated(head: Uint8Array, binding: Binding): Buffer {
  return Buffer.concat([head, Buffer.from(JSON.stringify(binding))]);
}
