import { attempt, type Awaitable, chain, Failure } from './awaitable.js';
import type { Beginning, OperationRequest } from './operation.js';
import type { IdempotencyStore } from './store.js';

/** What handles the calls of one place. */
interface Place {
  readonly isIdle: boolean;
  begin(request: OperationRequest): Awaitable<Beginning>;
  drain(timeoutMs: number): Promise<number>;
}

/**
 * The places whose calls never meet, whatever their ids: one for each named data source, and one for
 * each tenant's store. A tenant's is forgotten with its store.
 */
export class Places {
  private readonly named = new Map<string, Place>();
  private readonly tenants = new WeakMap<IdempotencyStore, Place>();
  /** Those that have calls. */
  private readonly busy = new Set<Place>();

  /** @param open makes a place; it calls `rest` whenever it may have become idle */
  constructor(private readonly open: (store: IdempotencyStore, rest: () => void) => Place) {}

  get isIdle(): boolean {
    for (const place of this.busy) if (!place.isIdle) return false;
    return true;
  }

  /** @param name of the data source; absent for a tenant's store */
  begin(request: OperationRequest, store: IdempotencyStore, name?: string): Awaitable<Beginning> {
    const place = this.at(store, name);
    this.busy.add(place);
    return chain(
      attempt(() => place.begin(request)),
      (beginning) => {
        this.rest(place);
        if (beginning instanceof Failure) throw beginning.cause;
        return beginning;
      },
    );
  }

  drain(timeoutMs: number): Promise<number[]> {
    return Promise.all([...this.busy].map((place) => place.drain(timeoutMs)));
  }

  private at(store: IdempotencyStore, name: string | undefined): Place {
    const known = name === undefined ? this.tenants.get(store) : this.named.get(name);
    if (known !== undefined) return known;
    const place: Place = this.open(store, () => this.rest(place));
    if (name === undefined) this.tenants.set(store, place);
    else this.named.set(name, place);
    return place;
  }

  private rest(place: Place): void {
    if (place.isIdle) this.busy.delete(place);
  }
}
