import { type IdempotentCall } from '../keys/call.js';
import { isInvalidKeyError, type KeyPlace, type KeySource } from '../keys/key-source.js';
import { body, header } from '../keys/key-sources.js';

/** The form field that may carry a token. */
export const TOKEN_FIELD = '_idempotency_token';

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
