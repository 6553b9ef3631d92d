import { MemoryStore } from 'nestjs-idempotency';
import type { Minimum } from './minimum.js';
import type { Records } from './records.js';

export function memoryRecords(): Records {
  return {
    store: new MemoryStore(),
    minimum: new MemoryMinimum(),
    close: () => Promise.resolve(),
  };
}

class MemoryMinimum implements Minimum {
  private readonly claimed = new Set<string>();
  private readonly values = new Map<string, unknown>();

  claim(key: string): boolean {
    if (this.claimed.has(key)) return false;
    this.claimed.add(key);
    return true;
  }

  find(key: string): unknown {
    return this.values.get(key);
  }

  keep(key: string, value: unknown): void {
    this.values.set(key, value);
  }
}
