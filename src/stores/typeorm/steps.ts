import type { Steps } from '../../engine/store.js';

/**
 * Steps in one binary column, one frame after the other: length of the name, name, length of the
 * value, value. Lengths are four bytes, the most significant first. A step is saved by appending
 * its frame; of two with one name the later counts.
 */
export function stepFrame(name: string, value: Uint8Array): Buffer {
  const nameBytes = Buffer.from(name, 'utf8');
  const frame = Buffer.allocUnsafe(8 + nameBytes.length + value.length);
  frame.writeUInt32BE(nameBytes.length, 0);
  nameBytes.copy(frame, 4);
  frame.writeUInt32BE(value.length, 4 + nameBytes.length);
  frame.set(value, 8 + nameBytes.length);
  return frame;
}

export function stepsOf(frames: Buffer): Steps {
  const steps = new Map<string, Uint8Array>();
  let offset = 0;
  const next = (): Buffer => {
    const start = offset + 4;
    offset = start + frames.readUInt32BE(offset);
    return frames.subarray(start, offset);
  };
  while (offset < frames.length) {
    const name = next().toString('utf8');
    steps.set(name, next());
  }
  return steps;
}
