import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Awaitable } from '../../engine/awaitable.js';
import type { HttpReplyExtras } from '../../replies/codec.js';
import type { BodyForm } from '../../replies/reply.js';
import type { KeptBytes } from './reply-bytes.js';

/** What the handler's side of the connection produced. */
export type Captured =
  /** The whole reply. `body` is absent if it was too large to keep. */
  | {
      readonly kind: 'reply';
      readonly status: number;
      readonly headers: OutgoingHttpHeaders;
      readonly body: Uint8Array | undefined;
      readonly extras: HttpReplyExtras;
    }
  /** The reply broke off: its source failed, or the response was destroyed. */
  | { readonly kind: 'broken'; readonly error: unknown }
  /** The client left, and with it the source of the reply. */
  | { readonly kind: 'cut-off' };

/** Sends the captured reply, or writes another one in its place. */
export type Verdict = 'send' | ((response: ServerResponse) => Awaitable<void>);

/** Who decides about the reply. */
export interface RecordingOwner {
  settle(captured: Captured): Awaitable<Verdict>;
  clientGone(): void;
  /** Called with the reason why a reply could not be sent, if nobody else can handle it. */
  lost(error: unknown): void;
}

export interface RecorderOptions {
  /** True if handlers work on Node's response itself, as in Express. */
  readonly isNativeApi: boolean;
  /** The largest body that is kept. */
  readonly maxBytes: number;
  /** The option `stream: 'through'`. */
  readonly streamsThrough: boolean;
}

/** A reply as it was before the hooks of the framework got it. */
export interface MadeReply {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly form: BodyForm | undefined;
  readonly bytes: KeptBytes;
  /** All of its bytes are known. */
  isWhole: boolean;
}
