type Done = (error?: Error | null) => void;

export type Chunk = string | Uint8Array;

/** Node's overloads of `write` and `end`: the encoding may be left out. */
export type ChunkArguments = [
  chunk?: Chunk | Done | null,
  encoding?: BufferEncoding | Done | null,
  done?: Done | null,
];

/** Those of `writeHead`: headers come last. */
export type HeadArguments = [status: number, ...rest: unknown[]];

/** Which argument is which. */
export function normalize(args: ChunkArguments): {
  chunk?: Chunk;
  encoding?: BufferEncoding;
  done?: Done;
} {
  const [first, second, third] = args;
  if (typeof first === 'function') return { done: first };
  // Node takes everything that is false for nothing.
  const chunk = first || undefined;
  if (typeof second === 'function') return { chunk, done: second };
  return { chunk, encoding: second ?? undefined, done: third ?? undefined };
}
