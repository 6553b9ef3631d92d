/** The options of `@nestjs/idempotency`, with sentences that say what to write here instead. */
const REMEDIES: ReadonlyMap<string, string> = new Map([
  ['lockTtl', 'Here it is called `lease`.'],
  [
    'maxLockHold',
    'Leave it out: `lease` is renewed as long as the handler runs. If the work may hang, give it a timeout.',
  ],
  [
    'keyFrom',
    "Here it is `key`: `key: header('X-Request-Id')`, `key: arg('input', 'requestId')`, `key: payload('meta', 'eventId')`, or `key: (call) => …`.",
  ],
  ['storeIf', "Here it is `onError: (error, status) => 'store'` or `'release'`."],
  [
    'replayHeaders',
    'Leave it out: every header that the handler, its interceptors and filters set is recorded and replayed.',
  ],
  ['allowInMemoryStorage', 'Here it is called `allowMemoryStore`.'],
]);

/**
 * Says what to write instead of an option that has another name here.
 *
 * @param otherwise the remedy for any other option
 */
export function remedyFor(option: string, otherwise: string): string {
  return REMEDIES.get(option) ?? otherwise;
}

/** Says what to write instead of a `scope` that names the caller. */
export function remedyForScope(scope: unknown): string {
  if (scope === false)
    return "For keys that all callers share, give `principal: () => 'everybody'`.";
  if (typeof scope === 'function')
    return 'Use `principal` for the caller: `principal: (call) => call.request.user?.id`.';
  if (typeof scope === 'object' && scope !== null)
    return 'Use `principal` for the caller, with one function for all kinds of calls: `principal: (call) => …`, where `call.type` tells them apart.';
  return 'Correct the scope, or leave it out to use the default.';
}
