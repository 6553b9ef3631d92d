import { createHash } from 'node:crypto';
import * as zlib from 'node:zlib';

type Convert = (bytes: Buffer) => Buffer;
interface Coding {
  readonly encode: Convert;
  readonly decode: Convert;
}

/** Node has it from 22.15 on. */
function zstd(): Record<string, Coding> {
  const encode = Reflect.get(zlib, 'zstdCompressSync') as Convert | undefined;
  const decode = Reflect.get(zlib, 'zstdDecompressSync') as Convert | undefined;
  return encode && decode ? { zstd: { encode, decode } } : {};
}

/** Every content coding that the running Node knows. */
export const CODINGS: Readonly<Record<string, Coding>> = {
  gzip: { encode: zlib.gzipSync, decode: zlib.gunzipSync },
  deflate: { encode: zlib.deflateSync, decode: zlib.inflateSync },
  br: { encode: zlib.brotliCompressSync, decode: zlib.brotliDecompressSync },
  ...zstd(),
};

function listed(codings: string): string[] {
  return codings.split(',').flatMap((one) => one.trim() || []);
}

/** Applies a list of codings, as `Content-Encoding` names them; `deflate-raw` has no zlib header. */
export function encoded(codings: string, bytes: Buffer): Buffer {
  return listed(codings).reduce(
    (all, coding) =>
      coding === 'deflate-raw'
        ? zlib.deflateRawSync(all)
        : CODINGS[coding === 'x-gzip' ? 'gzip' : coding]!.encode(all),
    bytes,
  );
}

/** The opposite, for the value of a reply's `Content-Encoding`. */
export function decodedBy(codings: string | undefined, bytes: Buffer): Buffer {
  return listed(codings ?? '')
    .reverse()
    .reduce((all, coding) => CODINGS[coding === 'x-gzip' ? 'gzip' : coding]!.decode(all), bytes);
}

/** `Content-Digest` (RFC 9530, section 2). */
export function contentDigest(bytes: string | Uint8Array): string {
  return `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`;
}
