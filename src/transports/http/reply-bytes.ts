import type { OutgoingHttpHeaders } from 'node:http';
import type { Chunk } from './recorded-response.js';

/** The bytes of a reply, kept up to a limit. */
export class KeptBytes {
  private readonly chunks: Uint8Array[] = [];
  private size = 0;

  constructor(private readonly limit: number) {}

  get isEmpty(): boolean {
    return this.chunks.length === 0;
  }

  /** They are too many to keep. */
  get isOver(): boolean {
    return this.size > this.limit;
  }

  /** Keeps the chunk itself, not a copy. */
  add(chunk: Chunk | undefined, encoding?: BufferEncoding): void {
    if (chunk === undefined) return;
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
    this.size += bytes.length;
    if (bytes.length > 0) this.chunks.push(bytes);
  }

  joined(): Uint8Array {
    return this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks);
  }

  clear(): void {
    this.chunks.length = 0;
  }
}

/**
 * The bytes of a reply that leave before its end. A client that knows their number would take the
 * reply for complete, so the last byte is held back.
 */
export class Outflow {
  private heldBack: Uint8Array | undefined;
  private left: number | undefined;

  begin(headers: OutgoingHttpHeaders): void {
    for (const name of Object.keys(headers))
      if (name.toLowerCase() === 'content-length') this.left = Number(headers[name]);
  }

  /** The bytes that may leave now. */
  next(chunk: Chunk, encoding: BufferEncoding | undefined): Uint8Array {
    const bytes = this.withHeldBack(
      typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk,
    );
    if (this.left === undefined) return bytes;
    const isComplete = bytes.length >= this.left && bytes.length > 0;
    const leaving = isComplete ? bytes.subarray(0, -1) : bytes;
    if (isComplete) this.heldBack = Buffer.from(bytes.subarray(-1));
    this.left -= leaving.length;
    return leaving;
  }

  /** What leaves with the end. */
  rest(chunk: Chunk | undefined, encoding: BufferEncoding | undefined): Uint8Array | undefined {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
    return this.heldBack === undefined ? bytes : this.withHeldBack(bytes ?? Buffer.alloc(0));
  }

  private withHeldBack(bytes: Uint8Array): Uint8Array {
    if (this.heldBack === undefined) return bytes;
    const all = Buffer.concat([this.heldBack, bytes]);
    this.heldBack = undefined;
    return all;
  }
}
