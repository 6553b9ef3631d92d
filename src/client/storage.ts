/** What keeps keys while their intents are open; `sessionStorage` and `localStorage` are such. */
export interface IntentStorage {
  getItem(name: string): string | null;
  setItem(name: string, value: string): void;
  removeItem(name: string): void;
}

/** Keeps keys for as long as whoever made it. @internal */
export class MemoryStorage implements IntentStorage {
  private readonly values = new Map<string, string>();

  getItem(name: string): string | null {
    return this.values.get(name) ?? null;
  }

  setItem(name: string, value: string): void {
    this.values.set(name, value);
  }

  removeItem(name: string): void {
    this.values.delete(name);
  }
}

/**
 * The tab's `sessionStorage`, and the page's memory for what that refuses: one that is full, or
 * switched off, is no reason to send nothing.
 */
class PageStorage implements IntentStorage {
  private readonly memory = new MemoryStorage();

  getItem(name: string): string | null {
    return this.memory.getItem(name) ?? orNull(() => sessionStorage.getItem(name));
  }

  setItem(name: string, value: string): void {
    try {
      sessionStorage.setItem(name, value);
      this.memory.removeItem(name);
    } catch {
      // What stands there is of before: a reload must not go on with it.
      this.removeItem(name);
      this.memory.setItem(name, value);
    }
  }

  removeItem(name: string): void {
    this.memory.removeItem(name);
    orNull(() => sessionStorage.removeItem(name));
  }
}

/** One for the page, so that all of its clients know the same intents. @internal */
export const PAGE_STORAGE: IntentStorage = new PageStorage();

function orNull<T>(run: () => T): T | null {
  try {
    return run();
  } catch {
    return null;
  }
}
