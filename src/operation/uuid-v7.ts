import { randomFillSync } from 'node:crypto';

const LARGEST_COUNT = 0xfff;

let lastMs = 0;
let count = 0;

/**
 * A UUIDv7 (RFC 9562, 5.7): milliseconds of the wall clock, a counter, 62 random bits. The UUIDs of
 * one process only grow, even if its clock is set back.
 */
export function uuidV7(): string {
  const nowMs = Date.now();
  if (nowMs > lastMs) {
    lastMs = nowMs;
    count = 0;
  } else if (count < LARGEST_COUNT) {
    count += 1;
  } else {
    // RFC 9562, 6.2: if the counter is full, the time is advanced.
    lastMs += 1;
    count = 0;
  }
  const bytes = randomFillSync(Buffer.alloc(16));
  bytes.writeUIntBE(lastMs, 0, 6);
  bytes.writeUInt16BE(0x7000 | count, 6);
  return textOf(bytes);
}

/** Another UUIDv7 with the time and counter of `uuid`, and `bytes` in place of the random part. */
export function siblingOf(uuid: string, bytes: Uint8Array): string {
  const timed = Buffer.from(uuid.slice(0, 18).replaceAll('-', ''), 'hex');
  return textOf(Buffer.concat([timed, bytes], 16));
}

/** When a UUIDv7 was made, in milliseconds since 1970. */
export function timeOf(uuid: string): number {
  return Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16);
}

function textOf(bytes: Buffer): string {
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
