import { ServerResponse, type OutgoingHttpHeaders } from 'node:http';
import type { HeadArguments } from './recorded-response.js';

/** A name and a value that Node always accepts (RFC 9110, sections 5.1 and 5.5). */
const PLAIN_NAME = /^[\w-]+$/;
const PLAIN_TEXT = /^[\t\x20-\x7e]*$/;

/** The checks of one response. */
export class Checks {
  private hasRefused = false;

  constructor(
    private readonly response: ServerResponse,
    private readonly removeTrailer: () => unknown,
  ) {}

  /**
   * The first error reaches whoever has written. What answers in its place finds on the response what
   * Node has refused, and would fail for the same reason: by then nobody listens, and the process would end.
   */
  run(check: () => void): void {
    try {
      check();
    } catch (error) {
      if (!this.hasRefused || !this.clearHead()) {
        this.hasRefused = true;
        throw error;
      }
      check();
    }
  }

  /** Takes off what Node lets stand on a response and refuses when it goes out. */
  private clearHead(): boolean {
    const { response } = this;
    if (!response.statusMessage && !response.hasHeader('trailer')) return false;
    response.statusMessage = '';
    this.removeTrailer();
    return true;
  }
}

/**
 * Throws what Node would throw for this head. Node only checks it when the reply is sent. By then
 * nobody could handle the error, and the reply would be on record.
 */
export function checkHead(response: ServerResponse, head: HeadArguments | undefined): void {
  if (!looksPlain(response, head))
    rehearse(response, (copy) =>
      copy.writeHead(...((head ?? [response.statusCode]) as [status: number])),
    );
}

/** Like {@link checkHead}, for the arguments of `write`. */
export function checkPiece(response: ServerResponse, args: readonly unknown[]): void {
  if (!isBytes(args[0])) rehearse(response, (copy) => copy.write(args[0]));
}

/** Like {@link checkHead}, for the arguments of `end`, and the head that it writes. */
export function checkEnd(
  response: ServerResponse,
  args: readonly unknown[],
  head: HeadArguments | undefined,
  isHeadChecked: boolean,
): void {
  const [piece] = args;
  const isPlain = !piece || typeof piece === 'function' || isBytes(piece);
  if (isPlain && response.strictContentLength !== true) {
    if (!isHeadChecked) checkHead(response, head);
    return;
  }
  rehearse(response, (copy) => {
    if (head) copy.writeHead(...(head as [status: number]));
    copy.end(isPlain && typeof piece === 'function' ? undefined : piece);
  });
}

/**
 * Throws what Node throws for a change of headers that were already sent. For the handler, they
 * were.
 */
export function refuseAfterHead(
  response: ServerResponse,
  change: (copy: ServerResponse) => unknown,
): void {
  rehearse(response, (copy) => change(copy.writeHead(200)));
}

/** The error that Node gives for a write after the end of a reply. */
export function writtenAfterEnd(): Error {
  return Object.assign(new Error('write after end'), { code: 'ERR_STREAM_WRITE_AFTER_END' });
}

function looksPlain(response: ServerResponse, head: HeadArguments | undefined): boolean {
  const status: unknown = head ? head[0] : response.statusCode;
  if (!Number.isInteger(status) || (status as number) < 100 || (status as number) > 999)
    return false;
  const hasReason = typeof head?.[1] === 'string';
  const reason = hasReason ? (head[1] as string) : (response.statusMessage as string | undefined);
  if (reason !== undefined && !isPlainText(reason)) return false;
  return !response.hasHeader('trailer') && havePlainHeaders(head?.at(hasReason ? 2 : 1));
}

/** Headers that are already set were checked by Node when they were set. */
function havePlainHeaders(given: unknown): boolean {
  if (given === undefined || given === null) return true;
  if (typeof given !== 'object' || Array.isArray(given)) return false;
  const headers = given as OutgoingHttpHeaders;
  for (const name in headers) {
    if (!PLAIN_NAME.test(name) || name.toLowerCase() === 'trailer') return false;
    const value = headers[name];
    if (typeof value === 'number') continue;
    if (!(Array.isArray(value) ? value.every(isPlainText) : isPlainText(value))) return false;
  }
  return true;
}

function isPlainText(value: unknown): boolean {
  return typeof value === 'string' && PLAIN_TEXT.test(value);
}

function isBytes(piece: unknown): boolean {
  return typeof piece === 'string' || piece instanceof Uint8Array;
}

/** Tries it on a similar response that is not connected. HTTP/2 responses are not checked. */
function rehearse(response: ServerResponse, act: (copy: ServerResponse) => unknown): void {
  if (!(response instanceof ServerResponse)) return;
  const copy = new ServerResponse(response.req);
  copy.statusCode = response.statusCode;
  copy.statusMessage = response.statusMessage;
  copy.strictContentLength = response.strictContentLength;
  const headers = response.getHeaders();
  for (const name of Object.keys(headers)) copy.setHeader(name, headers[name]!);
  act(copy);
}
