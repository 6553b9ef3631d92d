import { count, duration, element, icon } from './dom.js';
import { isOver, OUTCOMES, outcomeOf, shortCode } from './outcomes.js';

/** After a silence of this length, a new group with its own axis begins. */
const SILENCE_MS = 2_000;
/** The shortest axis, so that very short calls do not look long. */
const SHORTEST_MS = 40;
const TICKS = 4;
const WAITED_FOR = new Set(['claimed', 'taken-over', 'waited']);
const REDRAW_MS = matchMedia('(prefers-reduced-motion: reduce)').matches ? 1_000 : 100;

/** Draws calls as bars. Related calls share an axis; the newest group comes first. */
export class TimelineView {
  #timeline;
  #container;
  #inspector;
  #bursts = [];
  #rows = new Map();
  #selected;
  #frame;
  #redraw;

  constructor(timeline, { container, inspector, legend }) {
    this.#timeline = timeline;
    this.#container = container;
    this.#inspector = inspector;
    legend.append(...legendItems());
    timeline.addEventListener('change', () => this.#drawSoon());
    container.addEventListener('keydown', (event) => this.#move(event));
    this.#draw();
  }

  #drawSoon() {
    if (this.#frame === undefined) this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#frame = undefined;
    const calls = [...this.#timeline.calls.values()].sort((a, b) => a.startedAt - b.startedAt);
    this.#forgetOthers(calls);
    const groups = groupsOf(calls, this.#timeline.now);
    this.#bursts = groups.map((group) => this.#drawBurst(group));
    const nodes = this.#bursts.map(({ node }) => node).toReversed();
    if (nodes.length === 0) nodes.push(nothingYet());
    setChildren(this.#container, nodes);
    this.#keepOneTabStop();
    this.#inspect();
    clearTimeout(this.#redraw);
    if (calls.some((call) => !isOver(call)))
      this.#redraw = setTimeout(() => this.#drawSoon(), REDRAW_MS);
  }

  #forgetOthers(calls) {
    const known = new Set(calls.map(({ id }) => id));
    for (const id of this.#rows.keys()) if (!known.has(id)) this.#rows.delete(id);
    if (!known.has(this.#selected)) this.#selected = undefined;
  }

  #drawBurst({ calls, start, end }) {
    const [first] = calls;
    const burst = this.#bursts.find(({ id }) => id === first.id) ?? newBurst(first.id);
    const tickMs = tickOf(Math.max(end - start, SHORTEST_MS) / TICKS);
    const lengthMs = tickMs * TICKS;
    const time = new Date(start).toLocaleTimeString([], { hour12: false });
    setText(burst.time, time);
    setText(burst.summary, summaryOf(calls));
    setText(burst.axis, '');
    for (let tick = 0; tick <= TICKS; tick++)
      burst.axis.append(element('span', {}, tickText(tickMs * tick)));
    setChildren(
      burst.list,
      calls.map((call) => this.#drawRow(call, start, lengthMs)),
    );
    return burst;
  }

  #drawRow(call, start, lengthMs) {
    const row = this.#rows.get(call.id) ?? this.#newRow(call);
    const outcome = outcomeOf(call);
    const end = call.endedAt ?? this.#timeline.now;
    const middle = Math.min(workedFrom(call) ?? end, end);
    const place = (bar, from, to) => {
      bar.style.left = `min(${((from - start) / lengthMs) * 100}%, 100% - 4px)`;
      bar.style.width = `${((to - from) / lengthMs) * 100}%`;
    };
    place(row.waiting, call.startedAt, middle);
    place(row.working, middle, end);
    row.button.dataset.outcome = outcome;
    row.button.dataset.call = call.id;
    setText(row.title, titleOf(call));
    const { label } = OUTCOMES[outcome];
    if (row.label.dataset.text !== label) {
      row.label.dataset.text = label;
      row.label.replaceChildren(icon(outcome), element('span', {}, label));
    }
    setText(row.detail, detailOf(call, outcome));
    return row.node;
  }

  #newRow(call) {
    const waiting = element('span', { class: 'bar waiting' });
    const working = element('span', { class: 'bar working' });
    const title = element('span', { class: 'call-title' });
    const label = element('span', { class: 'call-outcome' });
    const detail = element('span', { class: 'call-detail' });
    const track = element('span', { class: 'track', 'aria-hidden': 'true' }, waiting, working);
    const select = () => this.#select(call.id);
    const button = element(
      'button',
      {
        type: 'button',
        class: 'call',
        tabindex: '-1',
        focus: select,
        pointerenter: select,
        click: select,
      },
      title,
      track,
      label,
      detail,
    );
    const row = { node: element('li', {}, button), button, waiting, working, title, label, detail };
    this.#rows.set(call.id, row);
    return row;
  }

  #select(id) {
    this.#selected = id;
    this.#inspect();
    this.#keepOneTabStop();
  }

  /** The bars are one tab stop; arrow keys move between them. */
  #keepOneTabStop() {
    const buttons = [...this.#container.querySelectorAll('.call')];
    const stop = this.#rows.get(this.#selected)?.button ?? buttons[0];
    for (const button of buttons) {
      button.tabIndex = button === stop ? 0 : -1;
      button.classList.toggle('selected', button.dataset.call === this.#selected);
    }
  }

  #move(event) {
    const buttons = [...this.#container.querySelectorAll('.call')];
    const at = buttons.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    buttons[to]?.focus();
  }

  #inspect() {
    const call = this.#timeline.calls.get(this.#selected);
    const content = call === undefined ? [hint()] : detailsOf(call);
    const text = content.map((node) => node.textContent).join();
    // The view is redrawn many times a second. Screen readers announce it only when something is new.
    if (this.#inspector.dataset.text === text) return;
    this.#inspector.dataset.text = text;
    this.#inspector.replaceChildren(...content);
  }
}

/** Groups calls by button press. Calls without a press join the group they follow without a silence. */
function groupsOf(calls, now) {
  const groups = [];
  for (const call of calls) {
    const end = call.endedAt ?? now;
    const run = call.requestId?.split('-')[0];
    const group =
      run === undefined
        ? groups.findLast((last) => call.startedAt <= last.end + SILENCE_MS)
        : groups.find((pressed) => pressed.run === run);
    if (group === undefined) groups.push({ calls: [call], start: call.startedAt, end, run });
    else {
      group.calls.push(call);
      group.end = Math.max(group.end, end);
    }
  }
  return groups;
}

/** The least of 1, 2, 5, 10, 20, 50 … that is not below. */
function tickOf(leastMs) {
  const power = 10 ** Math.floor(Math.log10(leastMs));
  return power * [1, 2, 5, 10].find((step) => step * power >= leastMs);
}

/** `500 ms`, `1.5 s`, `2 s`. */
function tickText(ms) {
  return ms < 1000 ? `${ms} ms` : `${Number((ms / 1000).toFixed(2))} s`;
}

function newBurst(id) {
  const time = element('time');
  const summary = element('span', { class: 'burst-summary' });
  const axis = element('div', { class: 'axis', 'aria-hidden': 'true' });
  const list = element('ol', { class: 'calls' });
  const node = element('section', { class: 'burst' }, element('h3', {}, time, summary), axis, list);
  return { id, node, time, summary, axis, list };
}

/** `20 requests: 1 executed, 19 replayed`. */
function summaryOf(calls) {
  const numbers = new Map();
  for (const call of calls) {
    const { label } = OUTCOMES[outcomeOf(call)];
    numbers.set(label, (numbers.get(label) ?? 0) + 1);
  }
  const parts = [...numbers].map(([label, number]) => `${number} ${label}`);
  const isAll = (kind) => calls.every((call) => call.kind === kind);
  const noun = isAll('request') ? 'request' : isAll('message') ? 'delivery' : 'call';
  const many = noun === 'delivery' ? 'deliveries' : `${noun}s`;
  return `${count(calls.length, noun, many)}: ${parts.join(', ')}`;
}

/** When a call stopped waiting, for its turn or for the first reply. Refused calls do not wait. */
function workedFrom(call) {
  const last = call.events.find(({ type }) => WAITED_FOR.has(type));
  return last?.at ?? (isOver(call) ? call.startedAt : undefined);
}

function titleOf({ title, isWorkers }) {
  return isWorkers ? `${title} (worker)` : title;
}

function detailOf(call, outcome) {
  if (outcome === 'refused') return [call.status, shortCode(call)].filter(Boolean).join(' ');
  if (call.how === 'lost') return 'reply lost';
  const attempt = attemptOf(call);
  return [call.status, attempt > 1 ? `attempt ${attempt}` : ''].filter(Boolean).join(' · ');
}

/** A lock counts every holder, and those are not attempts at one operation. */
function attemptOf({ events, status }) {
  const isLock = status < 400 && events.some(({ type }) => type === 'released');
  return isLock ? undefined : events.find(({ attempt }) => attempt !== undefined)?.attempt;
}

function detailsOf(call) {
  const outcome = outcomeOf(call);
  const { events } = call;
  const { label, meaning } = OUTCOMES[outcome];
  const waited = events.find(({ type }) => type === 'waited')?.durationMs;
  const facts = [
    ['Status', call.status],
    ['Code', events.find(({ code }) => code !== undefined)?.code],
    ['Took', call.endedAt === undefined ? undefined : duration(call.endedAt - call.startedAt)],
    ['Waited', waited === undefined ? undefined : duration(waited)],
    ['Attempt', attemptOf(call)],
    ['Retry-After', call.retryAfter === undefined ? undefined : `${call.retryAfter} s`],
    ['Idempotent-Replayed', call.isReplayed],
    ['Connection', call.how === 'lost' ? 'cut before the reply' : undefined],
    ['Library', events.map(({ type, at }) => `${type} +${at - call.startedAt} ms`).join(' → ')],
  ].filter(([, value]) => value !== undefined && value !== '');
  return [
    element(
      'p',
      { class: 'inspector-title', 'data-outcome': outcome },
      element('code', {}, titleOf(call)),
      element('span', { class: 'call-outcome' }, icon(outcome), `${label}: ${meaning}`),
    ),
    element(
      'dl',
      {},
      ...facts.map(([term, value]) =>
        element('div', {}, element('dt', {}, term), element('dd', {}, String(value))),
      ),
    ),
  ];
}

function legendItems() {
  return Object.entries(OUTCOMES)
    .filter(([name]) => name !== 'running' && name !== 'answered')
    .map(([name, { label, meaning }]) =>
      element('li', { 'data-outcome': name, title: meaning }, icon(name), label),
    );
}

function nothingYet() {
  return element(
    'p',
    { class: 'empty' },
    'Nothing has been sent yet. Press a button, or send something with curl: every request appears here.',
  );
}

function hint() {
  return element(
    'p',
    { class: 'empty' },
    'Point at a bar, or go to it with Tab and the arrow keys, to see what happened.',
  );
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Puts the nodes in place without touching those already there, so that the focus stays. */
function setChildren(parent, nodes) {
  for (const [index, node] of nodes.entries())
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  while (parent.children.length > nodes.length) parent.lastElementChild.remove();
}
