/** After so many failures in a row, a scope is left alone until the next sweep. */
const MOST_IN_A_ROW = 3;
/** How many rounds an operation is left out that has failed, at most. */
const LONGEST_REST = 32;

interface FailedQuestion {
  /** How long it rests, and until which turn of its scope. */
  readonly rounds: number;
  readonly until: number;
}

interface FailedScope {
  /** Counts the rounds in which each operation of the scope had its chance. */
  turn: number;
  /** Failures since the last success in the same sweep. */
  inARow: number;
  /** True if operations were left out in this round. */
  wasCut: boolean;
  readonly operations: Map<string, FailedQuestion>;
  /** The failed operations that this round has met. */
  readonly met: Set<string>;
}

/**
 * Which operations are not asked about because their question failed. Each rests by itself, so that one
 * that always fails keeps no other from its answer. If several of a scope fail in a row, what they ask is
 * probably down, and the rest of the scope waits for the next sweep. That one begins with those that were
 * left out, because the rests only go on when all had their chance.
 */
export class FailedQuestions {
  private readonly scopes = new Map<string, FailedScope>();

  /** A sweep begins, in the middle of a round or with a new one. */
  begin(): void {
    for (const scope of this.scopes.values()) scope.inARow = 0;
  }

  /** True if the operation is not to be asked about now. */
  areResting(scope: string, id: string): boolean {
    const failed = this.scopes.get(scope);
    if (failed === undefined) return false;
    const question = failed.operations.get(id);
    if (question !== undefined) failed.met.add(id);
    if (question !== undefined && question.until >= failed.turn) return true;
    if (failed.inARow < MOST_IN_A_ROW) return false;
    failed.wasCut = true;
    return true;
  }

  add(scope: string, id: string): void {
    let failed = this.scopes.get(scope);
    if (failed === undefined) {
      failed = { turn: 0, inARow: 0, wasCut: false, operations: new Map(), met: new Set() };
      this.scopes.set(scope, failed);
    }
    const before = failed.operations.get(id)?.rounds ?? 0.5;
    const rounds = Math.min(before * 2, LONGEST_REST);
    failed.operations.set(id, { rounds, until: failed.turn + rounds });
    failed.met.add(id);
    failed.inARow += 1;
  }

  remove(scope: string, id: string): void {
    const failed = this.scopes.get(scope);
    if (failed === undefined) return;
    failed.operations.delete(id);
    failed.inARow = 0;
  }

  /** A round has seen all that there is. What it has not met is abandoned no more. */
  endRound(): void {
    for (const [name, failed] of this.scopes) {
      for (const id of failed.operations.keys())
        if (!failed.met.has(id)) failed.operations.delete(id);
      failed.met.clear();
      if (!failed.wasCut) failed.turn += 1;
      failed.wasCut = false;
      if (failed.operations.size === 0) this.scopes.delete(name);
    }
  }
}
