import { wrongOption } from '../engine/configuration-error.js';
import { KEY_BYTES } from './xaes-256-gcm.js';

/** How what operations leave behind is sealed before a store sees it. */
export interface EncryptionOptions {
  /**
   * Keys of 32 bytes each: as bytes, or as text in base64 or hexadecimal (`openssl rand -base64 32`).
   * The first one seals; all of them open. To rotate, put the new key first, and remove an old one
   * when the records that it sealed have expired.
   */
  readonly keys: readonly (Uint8Array | string)[];
  /**
   * Whether content that is not sealed is read as well: for the time in which records from before
   * are still there. Whoever can write to the store can put such content there.
   * @default false
   */
  readonly acceptPlain?: boolean;
}

const OPTIONS: readonly string[] = ['keys', 'acceptPlain'] satisfies (keyof EncryptionOptions)[];
const HEXADECIMAL = /^[0-9a-f]{64}$/i;
/** With or without padding, in either alphabet (RFC 4648, sections 4 and 5). */
const BASE64 = /^[A-Za-z0-9+/_-]{43}=?$/;
const REMEDY = 'Make one with `openssl rand -base64 32`, and keep it where secrets are kept.';

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
      'Leave it out for false.',
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

/** What was given, without giving it away. */
function described(key: unknown): string {
  if (key instanceof Uint8Array) return `${key.length} bytes`;
  return typeof key === 'string' ? `text of ${key.length} characters` : typeof key;
}
