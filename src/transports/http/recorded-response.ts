import type { ServerResponse } from 'node:http';
import { Overlay } from './overlay.js';
import type { ChunkArguments, HeadArguments } from './write-arguments.js';

/** What changes headers one by one. */
export type HeaderMethod = 'setHeader' | 'setHeaders' | 'appendHeader' | 'removeHeader';

/** What a response whose reply is held back asks instead of doing it. */
export interface Recorder {
  readonly headersSent: unknown;
  readonly writableEnded: unknown;
  writeHead(args: HeadArguments): unknown;
  changeHeader(method: HeaderMethod, args: readonly unknown[]): unknown;
  flushHeaders(): void;
  write(args: ChunkArguments): unknown;
  end(args: ChunkArguments): unknown;
  destroy(args: [error?: Error]): unknown;
  emit(args: [event: string | symbol, ...rest: unknown[]]): unknown;
}

const RECORDER = Symbol.for('nestjs-idempotency:recorder');
type Recorded = ServerResponse & { [RECORDER]: Recorder };

function recorderOf(response: object): Recorder {
  return (response as Recorded)[RECORDER];
}

const methods = {
  writeHead(...args: unknown[]) {
    return recorderOf(this).writeHead(args as HeadArguments);
  },
  flushHeaders() {
    return recorderOf(this).flushHeaders();
  },
  write(...args: unknown[]) {
    return recorderOf(this).write(args as ChunkArguments);
  },
  end(...args: unknown[]) {
    return recorderOf(this).end(args as ChunkArguments);
  },
  destroy(...args: unknown[]) {
    return recorderOf(this).destroy(args as [Error?]);
  },
  emit(...args: unknown[]) {
    return recorderOf(this).emit(args as [string]);
  },
};

const headerMethods = {
  setHeader(...args: unknown[]) {
    return recorderOf(this).changeHeader('setHeader', args);
  },
  setHeaders(...args: unknown[]) {
    return recorderOf(this).changeHeader('setHeaders', args);
  },
  appendHeader(...args: unknown[]) {
    return recorderOf(this).changeHeader('appendHeader', args);
  },
  removeHeader(...args: unknown[]) {
    return recorderOf(this).changeHeader('removeHeader', args);
  },
};

const states = {
  get headersSent() {
    return recorderOf(this).headersSent;
  },
  set headersSent(_) {},
  get writableEnded() {
    return recorderOf(this).writableEnded;
  },
  set writableEnded(_) {},
};

/** Shared by all responses: what a request pays for is putting them there. */
const RECORDED = new Overlay(methods);
/** Only where somebody will ask, for an accessor on the response itself costs more than a method. */
export const ANSWERED = new Overlay(states);
/** Only once the head is written, for the same reason. */
export const HEADERS_FIXED = new Overlay(headerMethods);
/** Where a prototype carries them, all come at the price of one. */
const RECORDED_NATIVE = new Overlay(methods, headerMethods, states);

/** Puts the recorder between a response and whoever writes it; answers with what was there before. */
export function recordInto(
  recorder: Recorder,
  response: ServerResponse,
  isNativeApi: boolean,
): object {
  (response as Recorded)[RECORDER] = recorder;
  return (isNativeApi ? RECORDED_NATIVE : RECORDED).cover(response);
}
