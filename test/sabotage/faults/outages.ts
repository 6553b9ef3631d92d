import type { Fault } from '../fault.js';

const CIRCUIT = 'src/engine/circuit.ts';
const REPLAYS = 'src/engine/replay-cache.ts';
const OUTAGES = 'test/engine/circuit.test.ts';
const SHARDED = 'test/contract/sharded.test.ts';

/** What happens while a store fails, and what is answered without it. */
export const OUTAGE_FAULTS: readonly Fault[] = [
  {
    name: 'a store that keeps failing is asked all the same',
    breaks: ['design 7.9'],
    file: CIRCUIT,
    find: "if (this.state === 'open' || this.isTrying) return false;",
    put: '',
    tests: [OUTAGES],
  },
  {
    name: 'a store that answers reads gets all claims at once',
    breaks: ['design 7.9'],
    file: CIRCUIT,
    find: '    this.isTrying = true;\n',
    put: '',
    tests: [OUTAGES],
  },
  {
    name: 'a failure long ago counts as one of a run',
    breaks: ['design 7.9'],
    file: CIRCUIT,
    find: 'if (this.failing.size > 0) this.failing.clear();',
    put: '',
    tests: [OUTAGES],
  },
  {
    name: 'a record that cannot be claimed shuts the store for everybody',
    breaks: ['design 7.9'],
    file: CIRCUIT,
    find: 'if (failing.size < options.failures) failing.add(id);',
    put: 'failing.add(`${failing.size} ${id}`);',
    tests: [[OUTAGES, 'with only one record']],
  },
  {
    name: 'a claim that was never asked for is given back',
    breaks: ['design 7.9'],
    file: 'src/engine/leased-claims.ts',
    find: 'if (!(cause instanceof StoreNotAskedError)) this.giveBack',
    put: 'this.giveBack',
    tests: [OUTAGES],
  },
  {
    name: 'one dead shard shuts all of them',
    breaks: ['design 7.9'],
    file: 'src/stores/sharded/sharded.store.ts',
    find: 'return parts[parseInt(id.slice(0, DIGITS), 16) % parts.length] ?? parts[0]!;',
    put: 'return parts[0]!;',
    tests: [SHARDED, OUTAGES],
  },
  {
    name: 'another order of shards starts',
    breaks: ['design 7.1'],
    file: 'src/stores/sharded/sharded.store.ts',
    find: "if (result.outcome !== 'mismatch') return;",
    put: 'return;',
    tests: [SHARDED],
  },
  {
    name: 'a reply is kept whose record was forgotten meanwhile',
    breaks: ['design 3.2'],
    file: REPLAYS,
    find: 'if (sinceMs <= this.replies.forgottenAtMs) return;',
    put: '',
    tests: [[OUTAGES, 'on their way']],
  },
  {
    name: 'a kept reply answers other content',
    breaks: ['design 3.2'],
    file: REPLAYS,
    find: 'kept?.place === this && kept.fingerprint === fingerprint ?',
    put: 'kept?.place === this ?',
    tests: [OUTAGES],
  },
  {
    name: 'a kept reply outlives its record',
    breaks: ['guarantee 5'],
    file: REPLAYS,
    find: 'sinceMs + Math.min(ttlMs, this.replies.options.maxAgeMs)',
    put: 'sinceMs + this.replies.options.maxAgeMs',
    tests: [OUTAGES],
  },
  {
    name: 'kept replies have no bound',
    breaks: ['T95'],
    file: REPLAYS,
    find: 'if (this.bytes + given.bytes <= maxBytes) break;',
    put: 'break;',
    tests: [OUTAGES],
  },
  {
    name: 'a call runs although nobody can say how long its record is kept',
    breaks: ['design 7.1'],
    file: 'src/calls/operations.ts',
    find: "      ttlMs = (await layer.ttlOf?.(call)) ?? ttlMs;\n    } catch (cause) {\n      throw this.refuse(call, layer, 'IDEMPOTENCY_NOT_PROTECTED', { cause });",
    put: '      ttlMs = (await layer.ttlOf?.(call)) ?? ttlMs;\n    } catch {\n      ttlMs = 1;',
    tests: ['test/http/ttl.test.ts'],
  },
  {
    name: 'everybody who waits for a hot key asks at the same moment',
    breaks: ['design 7.9'],
    file: 'src/stores/redis/watches.ts',
    find: 'if (!(listening > AT_ONCE)) return wake();',
    put: 'if (listening >= 0 || true) return wake();',
    tests: [['test/redis/cost.test.ts', 'many are not woken']],
  },
];
