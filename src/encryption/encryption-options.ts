import { wrongOption } from '../engine/configuration-error.js';
import { KEY_BYTES } from './xaes-256-gcm.js';

/** How replies and step results are encrypted before a store sees them. */
export interface EncryptionOptions {
  /**
   * Keys of 32 bytes each: as bytes, or as text in base64 or hexadecimal
   * (`openssl rand -base64 32`). The first one encrypts; all of them decrypt. To rotate, put the
   * new key first, and remove an old one when the records that it encrypted have expired.
   */
  readonly keys: readonly (Uint8Array | string)[];
  /**
   * Whether unencrypted content is read as well: for as long as there are records from before you
   * switched encryption on. Anybody who can write to the store could plant such content.
   * @default false
   */
  readonly acceptPlain?: boolean;
}

const OPTIONS: readonly string[] = ['keys', 'acceptPlain'] satisfies (keyof EncryptionOptions)[];
const HEXADECIMAL = /^[0-9a-f]{64}$/i;
/** With or without padding, in either alphabet (RFC 4648, sections 4 and 5). */
const BASE64 = /^[A-Za-z0-9+/_-]{43}=?$/;
const REMEDY = 'Make one with `openssl rand -base64 32`, and keep it with your other secrets.';

/** @throws {@link IdempotencyConfigurationError}, which shows no key */
export function checkEncryption(options: EncryptionOptions): void {
  if (typeof options !== 'object' || options === null)
    throw wrongOption('encryption', typeof options, '{ keys }', REMEDY);
  for (const option of Object.keys(options))
    if (!OPTIONS.includes(option))
      throw wrongOption(
        `encryption.${option}`,
        'given',
        OPTIONS.join(', '),
        'Remove it, or correct its name.',
      );
  const { acceptPlain } = options;
  if (acceptPlain !== undefined && typeof acceptPlain !== 'boolean')
    throw wrongOption(
      'encryption.acceptPlain',
      typeof acceptPlain,
      'true or false',
      'Leave it out to use false.',
    );
  keysOf(options);
}

/** @throws {@link IdempotencyConfigurationError}, which shows no key */
export function keysOf({ keys }: EncryptionOptions): Uint8Array[] {
  if (!Array.isArray(keys) || keys.length === 0)
    throw wrongOption(
      'encryption.keys',
      Array.isArray(keys) ? 'an empty list' : typeof keys,
      'a list of keys',
      REMEDY,
    );
  return (keys as EncryptionOptions['keys']).map((key, at) => {
    const bytes = bytesOf(key);
    if (bytes?.length === KEY_BYTES) return bytes;
    const accepted = `${KEY_BYTES} bytes, or their base64 or hexadecimal`;
    throw wrongOption(`encryption.keys[${at}]`, described(key), accepted, REMEDY);
  });
}

function bytesOf(key: unknown): Uint8Array | undefined {
  if (key instanceof Uint8Array) return key;
  if (typeof key !== 'string') return undefined;
  if (HEXADECIMAL.test(key)) return Buffer.from(key, 'hex');
  return BASE64.test(key) ? Buffer.from(key, 'base64') : undefined;
}

/** Describes what was given without revealing it. */
function described(key: unknown): string {
  if (key instanceof Uint8Array) return `${key.length} bytes`;
  return typeof key === 'string' ? `text of ${key.length} characters` : typeof key;
}
