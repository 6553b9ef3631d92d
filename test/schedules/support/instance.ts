/** What an instance tells of a tick of one of its jobs: that it has run it, or left it to another. */
export interface Reported {
  readonly scope: string;
  /** What it did; absent where another instance does it. */
  readonly effect?: string;
}
