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
  /** Whose it is; see `tokenOwner()`. */
  readonly owner: string;
}

/** A token is 72 characters of base64url: expiry, nonce and seal, without a bit to spare. */
const EXPIRY_BYTES = 6;
const NONCE_BYTES = 16;
const HEAD_BYTES = EXPIRY_BYTES + NONCE_BYTES;
const SEAL_BYTES = 32;
const TOKEN_BYTES = HEAD_BYTES + SEAL_BYTES;
/**
 * Decoders also take the alphabet of plain base64: the same bytes in another spelling would be
 * another key, and the token could be used twice.
 */
const TOKEN = new RegExp(`^[\\w-]{${(TOKEN_BYTES * 4) / 3}}$`);
const NO_TOKEN = Buffer.alloc(TOKEN_BYTES);

const CONTEXT = 'nestjs-idempotency:token:1\n';

/** Makes tokens that hold expiry, purpose and owner under one seal, and tells them from others. */
export class TokenSeal {
  private readonly keys: readonly [KeyObject, ...KeyObject[]];

  /** @param secrets the first one seals, all of them open */
  constructor(secrets: readonly (string | Uint8Array)[]) {
    this.keys = secrets.map((secret) =>
      createSecretKey(typeof secret === 'string' ? Buffer.from(secret) : secret),
    ) as [KeyObject, ...KeyObject[]];
  }

  /** A new token; no two are the same. */
  make(expiresAtMs: number, binding: TokenBinding): string {
    const token = Buffer.allocUnsafe(TOKEN_BYTES);
    token.writeUIntBE(expiresAtMs, 0, EXPIRY_BYTES);
    randomFillSync(token, EXPIRY_BYTES, NONCE_BYTES);
    seal(this.keys[0], token, binding).copy(token, HEAD_BYTES);
    return token.toString('base64url');
  }

  /**
   * True for a token that was made for this purpose and owner, expired or not. Takes the same time
   * for every text.
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

/** When a token expires, in milliseconds since 1970; `undefined` for a text that is none. */
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

/** Where a call carries its token: the header, or else the form field. */
export class TokenCarrier {
  readonly description: string;
  private readonly sources: readonly KeySource[];

  constructor(private readonly headerName: string) {
    this.sources = [header(headerName), body(TOKEN_FIELD)];
    this.description = this.sources.map(({ description }) => description).join(' or ');
  }

  /** For API descriptions: where a token that was issued for a purpose is put. */
  sentIn(purpose: string | undefined): [KeyPlace, KeyPlace] {
    const issued = purpose === undefined ? '' : `, issued for the purpose \`${purpose}\``;
    const description = `A token of the server${issued}, good for one operation and every retry of it. A form may send it as its field \`${TOKEN_FIELD}\` instead.`;
    return [
      { in: 'header', name: this.headerName, description },
      { in: 'body', name: TOKEN_FIELD },
    ];
  }

  /** What was sent as token; `''` for what cannot be one, `undefined` for nothing. */
  read(call: IdempotentCall): string | undefined {
    try {
      for (const source of this.sources) {
        const sent = source.read(call);
        if (typeof sent === 'string') return sent;
      }
      return undefined;
    } catch (error) {
      // Refused where every other wrong token is, so that nothing tells them apart.
      if (isInvalidKeyError(error)) return '';
      throw error;
    }
  }
}
