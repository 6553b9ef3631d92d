/**
 * A new key: a UUID of version 7, which says when it was made (RFC 9562, section 5.7), for servers that
 * refuse late retries. Pages without TLS have no `crypto.randomUUID`.
 *
 * @internal
 */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  new DataView(bytes.buffer).setUint16(0, Math.floor(Date.now() / 2 ** 32));
  new DataView(bytes.buffer).setUint32(2, Date.now() % 2 ** 32);
  bytes[6] = (bytes[6]! & 0x0f) | 0x70;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/**
 * SHA-256, in hex. Pages without TLS have no `crypto.subtle`. They must not send a payment twice
 * either, so it is computed here for them.
 *
 * @internal
 */
export async function digestOf(...parts: readonly BlobPart[]): Promise<string> {
  const content = await new Blob([...parts]).arrayBuffer();
  const { subtle } = globalThis.crypto as { readonly subtle?: SubtleCrypto };
  const digest = subtle ? await subtle.digest('SHA-256', content) : sha256(content);
  return hex(new Uint8Array(digest));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The first 32 bits of the fractional part of a root (FIPS 180-4, section 4.2.2). */
function fraction(root: number): number {
  return ((root - Math.floor(root)) * 2 ** 32) | 0;
}

const PRIMES: number[] = [];
for (let n = 2; PRIMES.length < 64; n++)
  if (PRIMES.every((prime) => n % prime !== 0)) PRIMES.push(n);
const ROUNDS = PRIMES.map((prime) => fraction(Math.cbrt(prime)));
const START = PRIMES.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));

const rotated = (word: number, by: number): number => (word >>> by) | (word << (32 - by));

/** FIPS 180-4, section 6.2. */
function sha256(content: ArrayBuffer): ArrayBuffer {
  const { byteLength } = content;
  const padded = new Uint8Array(Math.ceil((byteLength + 9) / 64) * 64);
  padded.set(new Uint8Array(content));
  padded[byteLength] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(byteLength / 2 ** 29));
  view.setUint32(padded.length - 4, byteLength << 3);
  const state = Int32Array.from(START);
  for (let at = 0; at < padded.length; at += 64) addBlock(state, view, at);
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((word, index) => digest.setInt32(index * 4, word));
  return digest.buffer;
}

function addBlock(state: Int32Array, view: DataView, at: number): void {
  const words = new Int32Array(64);
  for (let i = 0; i < 64; i++) {
    if (i < 16) {
      words[i] = view.getInt32(at + i * 4);
      continue;
    }
    const [near, far] = [words[i - 15]!, words[i - 2]!];
    const small = rotated(near, 7) ^ rotated(near, 18) ^ (near >>> 3);
    const large = rotated(far, 17) ^ rotated(far, 19) ^ (far >>> 10);
    words[i] = words[i - 16]! + small + words[i - 7]! + large;
  }
  let [a, b, c, d, e, f, g, h] = state as unknown as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  for (let i = 0; i < 64; i++) {
    const sum = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
    const first = (h + sum + ((e & f) ^ (~e & g)) + ROUNDS[i]! + words[i]!) | 0;
    const major = (a & b) ^ (a & c) ^ (b & c);
    const second = ((rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + major) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, index) => (state[index] = state[index]! + word));
}
