import { digestOf } from './random.js';

/** A request that can be sent repeatedly with the same bytes. @internal */
export interface Content {
  readonly request: Request;
  readonly bytes: ArrayBuffer | undefined;
  /** Ends the call. */
  readonly signal: AbortSignal;
  /** A digest of method, URL and bytes. Two calls with the same digest are the same intent. */
  readonly digest: string;
}

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/** Requests that change nothing need no key. @internal */
export function isSafe(input: Parameters<typeof fetch>[0], init: RequestInit): boolean {
  const method = init.method ?? (input instanceof Request ? input.method : 'GET');
  return SAFE.has(method.toUpperCase());
}

/** Reads the whole body, even of a stream, which could not be sent twice. @internal */
export async function contentOf(
  input: Parameters<typeof fetch>[0],
  init: RequestInit,
): Promise<Content> {
  const request = new Request(input, await withStableForm(init));
  const read = request.body === null ? undefined : await request.arrayBuffer();
  const bytes = read?.byteLength === 0 ? undefined : read;
  const digest = await digestOf(`${request.method} ${request.url}\n`, bytes ?? '');
  return { request, bytes, signal: request.signal, digest };
}

/**
 * The same form has the same bytes after a reload: unlike `fetch`, this uses no random boundary.
 */
async function withStableForm(init: RequestInit): Promise<RequestInit> {
  if (!(init.body instanceof FormData)) return init;
  const headers = new Headers(init.headers);
  if (headers.has('Content-Type')) return init;
  const parts: BlobPart[] = [];
  for (const [name, value] of init.body) {
    const file = typeof value === 'string' ? '' : `; filename="${escaped(value.name)}"`;
    const type = typeof value === 'string' ? '' : `\r\nContent-Type: ${typeOf(value)}`;
    const head = `Content-Disposition: form-data; name="${escaped(name)}"${file}${type}`;
    parts.push(`${head}\r\n\r\n`, typeof value === 'string' ? lines(value) : value);
  }
  const boundary = `form-${(await digestOf(await new Blob(parts).arrayBuffer())).slice(0, 40)}`;
  const framed = parts.map((part, at) =>
    at % 2 === 0 ? [`--${boundary}\r\n`, part] : [part, '\r\n'],
  );
  headers.set('Content-Type', `multipart/form-data; boundary=${boundary}`);
  return { ...init, headers, body: new Blob([...framed.flat(), `--${boundary}--\r\n`]) };
}

function typeOf(file: Blob): string {
  return file.type === '' ? 'application/octet-stream' : file.type;
}

/** As HTML's "multipart/form-data encoding algorithm" has it, for names and for values. */
function escaped(name: string): string {
  return lines(name).replaceAll('\r\n', '%0D%0A').replaceAll('"', '%22');
}

function lines(text: string): string {
  return text.replaceAll(/\r\n?|\n/g, '\r\n');
}
