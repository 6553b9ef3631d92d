import { createHash } from 'node:crypto';

const ID = /^[0-9a-f]{64}$/;

/** The 32 bytes that an id stands for. Ids are hashes; anything else is made one. */
export function bytesOfId(id: string): Buffer {
  return ID.test(id) ? Buffer.from(id, 'hex') : createHash('sha256').update(`id:${id}`).digest();
}

export function bytesOfText(text: string): Buffer {
  return Buffer.from(text, 'utf8');
}

export function textOf(bytes: unknown): string {
  return asBytes(bytes).toString('utf8');
}

/** A binary column as a driver gives it: a Buffer, or an array of bytes. */
export function asBytes(value: unknown): Buffer {
  if (Buffer.isBuffer(value)) return value;
  const bytes = value as Uint8Array | null | undefined;
  // sql.js gives `null` for a blob of no bytes in some releases.
  return bytes ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) : Buffer.alloc(0);
}
