/** A place on a server that one borrower at a time has. */
export interface Space {
  readonly name: string;
  readonly url: string;
  readonly port: number;
  /** Empties it, so that another may have it or its name. */
  free(): Promise<void>;
}

/** One server, for all tests of a run. */
export interface LentServer {
  lend(): Promise<Space>;
  stop(): Promise<void>;
}

/** Names that no other run on the same server has. */
export function names(run: string): () => string {
  const prefix = `idempotency_${run.replaceAll(/^.*-|[^a-z\d]/gi, '').toLowerCase()}`;
  let last = 0;
  return () => `${prefix}_${(last += 1)}`;
}

/** The URL with another path. */
export function withPath(url: string, path: string): string {
  const changed = new URL(url);
  changed.pathname = path;
  return changed.href;
}

export function portOf(url: string, usual: number): number {
  return Number(new URL(url).port || usual);
}
