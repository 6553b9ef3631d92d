import {
  createHmac,
  createSecretKey,
  type KeyObject,
  randomFillSync,
  timingSafeEqual,
} from 'node:crypto';
import type { IdempotentCall } from '../keys/call.js';
import { isInvalidKeyError, type KeyPlace, type KeySource } from '../keys/key-source.js';
import { body, header } from '../keys/key-sources.js';

/** What a token is good for. */
interface TokenBinding {
  readonly purpose: string;
  /** Who may use it; see `tokenOwner()`. */
  readonly owner: string;
}

/** A token is 72 characters of base64url: expiry, nonce and seal, with no spare bits. */
const EXPIRY_BYTES = 6;
const NONCE_BYTES = 16;
const HEAD_BYTES = EXPIRY_BYTES + NONCE_BYTES;
const SEAL_BYTES = 32;
const TOKEN_BYTES = HEAD_BYTES + SEAL_BYTES;
/**
 * Decoders also accept the alphabet of plain base64. The same bytes in another spelling would be
 * another key, and the token could be used twice.
 */
const TOKEN = new RegExp(`^[\\w-]{${(TOKEN_BYTES * 4) / 3}}$`);
const NO_TOKEN = Buffer.alloc(TOKEN_BYTES);

const CONTEXT = 'nestjs-idempotency:token:1\n';

/** Makes tokens with expiry, purpose and owner under one seal, and recognises them. */
export class TokenSeal {
  private readonly keys: readonly [KeyObject, ...KeyObject[]];

  /** @param secrets the first one signs, all of them verify */
  constructor(secrets: readonly (string | Uint8Array)[]) {
    this.keys = secrets.map((secret) =>
      createSecretKey(typeof secret === 'string' ? Buffer.from(secret) : secret),
    ) as [KeyObject, ...KeyObject[]];
  }

  /** A new token. No two are the same. */
  make(expiresAtMs: number, binding: TokenBinding): string {
    const token = Buffer.allocUnsafe(TOKEN_BYTES);
    token.writeUIntBE(expiresAtMs, 0, EXPIRY_BYTES);
    randomFillSync(token, EXPIRY_BYTES, NONCE_BYTES);
    seal(this.keys[0], token, binding).copy(token, HEAD_BYTES);
    return token.toString('base64url');
  }

  /**
   * True for a token that was made for this purpose and owner, expired or not. Takes the same time
   * for any text.
   */
  isGenuine(text: string, binding: TokenBinding): boolean {
    const isToken = TOKEN.test(text);
    const token = isToken ? Buffer.from(text, 'base64url') : NO_TOKEN;
    let isSealed = false;
    for (const key of this.keys)
      if (timingSafeEqual(seal(key, token, binding), token.subarray(HEAD_BYTES))) isSealed = true;
    return isToken && isSealed;
  }
}

/** When a token expires, in milliseconds since 1970; `undefined` if the text is not a token. */
export function tokenExpiry(text: string): number | undefined {
  return TOKEN.test(text) ? Buffer.from(text, 'base64url').readUIntBE(0, EXPIRY_BYTES) : undefined;
}

function seal(key: KeyObject, token: Buffer, { purpose, owner }: TokenBinding): Buffer {
  return createHmac('sha256', key)
    .update(CONTEXT)
    .update(token.subarray(0, HEAD_BYTES))
    .update(JSON.stringify([purpose, owner]))
    .digest();
}

/** The form field that may carry a token. */
const TOKEN_FIELD = '_idempotency_token';

/** Reads the token of a call from the header, or else from the form field. */
export class TokenCarrier {
  readonly description: string;
  private readonly sources: readonly KeySource[];

  constructor(private readonly headerName: string) {
    this.sources = [header(headerName), body(TOKEN_FIELD)];
    this.description = this.sources.map(({ description }) => description).join(' or ');
  }

  /** For API descriptions: where to put a token that was issued for a purpose. */
  sentIn(purpose: string | undefined): [KeyPlace, KeyPlace] {
    const issued = purpose === undefined ? '' : `, issued for the purpose \`${purpose}\``;
    const description = `A token from the server${issued}, good for one operation and every retry of it. A form may send it in its field \`${TOKEN_FIELD}\` instead.`;
    return [
      { in: 'header', name: this.headerName, description },
      { in: 'body', name: TOKEN_FIELD },
    ];
  }

  /** What was sent as the token; `''` if it cannot be a token, `undefined` if nothing was sent. */
  read(call: IdempotentCall): string | undefined {
    try {
      for (const source of this.sources) {
        const sent = source.read(call);
        if (typeof sent === 'string') return sent;
      }
      return undefined;
    } catch (error) {
      // Refused in the same place as every other invalid token, so that nothing tells them apart.
      if (isInvalidKeyError(error)) return '';
      throw error;
    }
  }
}
