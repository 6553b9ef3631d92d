import type { Identifier, IncomingRequest } from '../../keys/call.js';
import type { EnteredCall } from '../operations.js';
import { envelopeOf } from './transport-context.js';

/** A message on its way to its handler. */
export class MessageCall implements EnteredCall {
  readonly type = 'rpc';
  readonly request: IncomingRequest;
  readonly messageId: string | undefined;
  principal: string | undefined;
  key: string | undefined;

  constructor(
    public scope: string,
    payload: unknown,
    /** The transport's. */
    readonly context: unknown,
  ) {
    const { headers, id } = envelopeOf(context);
    this.messageId = id;
    // Guards put whom they have recognized where there is a place for it.
    const { user } = (context ?? {}) as { user?: { id?: Identifier; sub?: Identifier } };
    this.request = { headers, body: payload, context, user };
  }
}
