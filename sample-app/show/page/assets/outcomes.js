/** How a call can end, in the order of the legend. */
export const OUTCOMES = {
  executed: { label: 'executed', meaning: 'the handler ran' },
  waited: { label: 'waited', meaning: 'waited for the first call, then got its reply' },
  replayed: { label: 'replayed', meaning: 'got the first reply again' },
  refused: { label: 'refused', meaning: 'the handler did not run' },
  'taken-over': { label: 'taken over', meaning: 'continued after another process died' },
  failed: { label: 'failed', meaning: 'the handler ran and failed' },
  killed: { label: 'killed', meaning: 'its process died before it could reply' },
  answered: { label: 'answered', meaning: 'not a protected handler' },
  running: { label: 'running', meaning: 'not over yet' },
};

const LAST = new Set(['stored', 'released', 'held', 'replayed', 'rejected']);

/** Whether this is the library's last event for a call. */
export function hasEnded({ type }) {
  return LAST.has(type);
}

/**
 * Whether a call is over. Losing the reply does not stop the handler.
 *
 * @param {import('./timeline.js').Call} call
 */
export function isOver({ how, events }) {
  return how === 'lost' ? events.length === 0 || events.some(hasEnded) : how !== undefined;
}

/**
 * How a call ended, according to the library's events and the answer.
 *
 * @param {import('./timeline.js').Call} call
 * @returns {keyof typeof OUTCOMES}
 */
export function outcomeOf(call) {
  const { events, how, status = 200 } = call;
  const has = (type) => events.some((event) => event.type === type);
  if (how === 'killed') return 'killed';
  if (has('replayed')) return has('waited') ? 'waited' : 'replayed';
  if (has('rejected')) return 'refused';
  if (!isOver(call)) return 'running';
  if (has('claimed') || has('taken-over')) {
    if (status >= 400 || (how === 'lost' && has('released'))) return 'failed';
    return has('taken-over') ? 'taken-over' : 'executed';
  }
  if (status >= 500) return 'failed';
  return status >= 400 ? 'refused' : 'answered';
}

const RAN = new Set(['executed', 'taken-over', 'failed']);

/**
 * Whether the handler ran for a call.
 *
 * @param {import('./timeline.js').Call} call
 */
export function hasRun(call) {
  return RAN.has(outcomeOf(call));
}

/** As {@link hasRun}, and it did what was asked. */
export function hasSucceeded(call) {
  return hasRun(call) && outcomeOf(call) !== 'failed';
}

/** The code of a refusal, without the common prefix. */
export function shortCode({ events }) {
  return events.find(({ code }) => code !== undefined)?.code.replace('IDEMPOTENCY_', '');
}
