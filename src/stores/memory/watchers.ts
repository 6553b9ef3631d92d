/** Who wants to know when a record changes, by its id. */
export class Watchers {
  private readonly byId = new Map<string, Set<Watcher>>();

  /** @returns a function that stops the watch; harmless when called again */
  add(id: string, onChange: () => void): () => void {
    const watcher: Watcher = { onChange };
    let watching = this.byId.get(id);
    if (watching === undefined) this.byId.set(id, (watching = new Set()));
    watching.add(watcher);
    return () => {
      watching.delete(watcher);
      if (watching.size === 0 && this.byId.get(id) === watching) this.byId.delete(id);
    };
  }

  wake(id: string): void {
    const watching = this.byId.get(id);
    if (watching === undefined) return;
    // Not on the stack of the verb: what a watcher does or throws is not the verb's outcome.
    for (const watcher of watching) {
      queueMicrotask(() => {
        if (watching.has(watcher)) watcher.onChange();
      });
    }
  }
}

/** An object of its own for each watch, for a function may be handed in twice. */
interface Watcher {
  readonly onChange: () => void;
}
