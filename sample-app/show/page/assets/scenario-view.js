import { element } from './dom.js';
import { hasRun, hasSucceeded } from './outcomes.js';
import { Run } from './run.js';
import { WIDGETS } from './widgets.js';

const SETTLE_MS = 150;
/** What was counted before the page was loaded again. */
const CARRIED = 'shop:carried';
/** In place of a number that nobody can tell. */
const GONE = Symbol('gone');
const WHAT_IS_GONE =
  'The shop does not answer: its process has ended. Start it with npm start, and press again.';

/** A scenario: what goes wrong, what protects from it, the buttons to try it, and what came of it. */
export class ScenarioView {
  #context;
  #scenario;
  #subject;
  #facts = element('dl', { class: 'facts' });
  #result = element('div', { class: 'result', role: 'status' });
  #fields = new Map();
  #unprotected = element('input', { type: 'checkbox', name: 'unprotected' });
  #latest;
  /** The run that is at work, and what it is about. */
  #acting;
  #widget;
  #fresh;

  /**
   * @param {{ timeline: import('./timeline.js').Timeline, counters: import('./counters.js').Counters, user: () => string }} context
   * @param {import('./scenarios.js').Scenario} scenario
   */
  constructor(context, scenario) {
    this.#context = context;
    this.#scenario = scenario;
    this.#fresh = element(
      'button',
      { type: 'button', class: 'quiet', click: () => this.reset() },
      scenario.fresh,
    );
    this.node = element(
      'article',
      { 'aria-labelledby': 'scenario-title' },
      element('p', { class: 'rows' }, scenario.rows),
      element('h2', { id: 'scenario-title' }, scenario.title),
      element('p', { class: 'danger' }, element('strong', {}, 'Unprotected: '), scenario.danger),
      element('pre', { class: 'code' }, element('code', {}, scenario.code)),
      // What appears with the first press is below the buttons, so that none of them moves.
      this.#controls(),
      this.#result,
      this.#facts,
    );
    this.#showHint();
    void this.#showFacts();
  }

  dispose() {
    this.#widget?.dispose();
    this.#latest = undefined;
  }

  /** The server is another one, and knows nothing of what this is about. */
  reset() {
    this.#subject = undefined;
    this.#showHint();
    void this.#showFacts();
  }

  #controls() {
    const { widget, fields = [], actions = [], fresh, unprotected } = this.#scenario;
    if (widget !== undefined) {
      this.#widget = WIDGETS[widget](this.#stage());
      return this.#widget.node;
    }
    const hints = actions.flatMap(({ hint }) => (hint === undefined ? [] : [hint]));
    return element(
      'div',
      { class: 'controls' },
      ...fields.map((field) => this.#field(field)),
      unprotected === undefined ? undefined : this.#switch(),
      element(
        'div',
        { class: 'actions' },
        ...actions.map((action, index) => this.#button(action, index)),
      ),
      ...hints.map((hint) => element('p', { class: 'try' }, hint)),
      fresh === undefined ? undefined : this.#fresh,
    );
  }

  #switch() {
    return element('label', { class: 'check' }, this.#unprotected, 'Without protection');
  }

  #field({ name, label, value }) {
    const input = element('input', { name, value, maxlength: 200, autocomplete: 'off' });
    this.#fields.set(name, input);
    return element('label', { class: 'field' }, element('span', {}, label), input);
  }

  #button({ label, act, isSentAgain = false }, index) {
    /** @type {Promise<void>[]} */
    let presses = [];
    const press = async () => {
      // Not disabled: that would cost whoever uses a keyboard the focus.
      if (button.ariaBusy === 'true') {
        // The second half of a double click is a second request about the same thing.
        if (isSentAgain) presses.push(this.#again(act));
        return;
      }
      button.ariaBusy = 'true';
      presses = [];
      try {
        await this.#perform(act, presses);
      } finally {
        button.ariaBusy = 'false';
      }
    };
    const button = element(
      'button',
      { type: 'button', class: index === 0 ? 'primary' : undefined, click: () => void press() },
      label,
    );
    return button;
  }

  /** @param presses those that follow while it is at work */
  async #perform(act, presses) {
    const run = this.#newRun();
    if (this.#scenario.isNewEachTime) this.#subject = undefined;
    const before = await this.#count();
    try {
      const { isUnprotected } = run;
      const acting = this.#subjectOf(run).then((subject) => ({
        run,
        subject: { ...subject, isUnprotected },
      }));
      this.#acting = acting;
      const { subject } = await acting;
      await this.#showFacts();
      await act(run, subject, this.#fieldsNow());
      for (let at = 0; at < presses.length; at++) await presses[at];
    } catch {
      // The server is gone, and the banner says so.
    }
    await this.#finish(run, before);
  }

  /** Once more, in the run that is at work. */
  async #again(act) {
    const acting = await this.#acting?.catch(() => undefined);
    if (acting === undefined) return;
    await Promise.resolve(act(acting.run, acting.subject, this.#fieldsNow())).catch(
      () => undefined,
    );
  }

  #fieldsNow() {
    return Object.fromEntries([...this.#fields].map(([name, { value }]) => [name, value]));
  }

  /** For what the library's client sends. */
  #stage() {
    /** @type {Promise<{ run: Run, before: number }> | undefined} */
    let started;
    const start = async () => {
      const run = this.#newRun();
      const carried = JSON.parse(sessionStorage.getItem(CARRIED) ?? 'null');
      sessionStorage.removeItem(CARRIED);
      run.requests = carried?.requests ?? 0;
      // A count that is asked for beside the request may come after its effect.
      return { run, before: carried?.before ?? (await this.#count()) };
    };
    return {
      begin: async () => (await (started ??= start())).run,
      carryOver: async () => {
        const { run, before } = await started;
        sessionStorage.setItem(CARRIED, JSON.stringify({ requests: run.requests, before }));
      },
      finish: async () => {
        const ended = await started;
        started = undefined;
        if (ended !== undefined) await this.#finish(ended.run, ended.before);
      },
    };
  }

  #newRun() {
    const { timeline, user } = this.#context;
    const run = new Run(timeline, user, this.#scenario.pace ?? 0);
    run.isUnprotected = this.#unprotected.checked;
    run.addEventListener('change', () => {
      if (run.requests === 0) return;
      this.#latest = run;
      this.#showResult(run);
    });
    return run;
  }

  async #finish(run, before) {
    await this.#context.timeline.settled(this.#scenario.settle ?? SETTLE_MS);
    const executions = await this.#ranBy(run, before);
    await this.#showFacts();
    if (this.#latest === run || run.replies.length > 0) this.#showResult(run, executions);
  }

  /** How often the handler ran for this press; what others send does not count. */
  async #ranBy(run, before) {
    const { route, widget, unprotected, countsSuccesses = false } = this.#scenario;
    const { timeline } = this.#context;
    const now = await this.#count();
    if (now === undefined || before === undefined) return GONE;
    // A form goes on after the page was loaded again, and deliveries belong to no press.
    const isOfRequests = route.includes(' /') && widget === undefined;
    if (!isOfRequests) return now - before;
    // The library tells nothing of what it does not protect: each of those requests runs.
    if (run.isUnprotected) return timeline.ranBy(run.id, unprotected, () => true);
    return timeline.ranBy(run.id, route, countsSuccesses ? hasSucceeded : hasRun);
  }

  /** `undefined` if the server does not answer. */
  async #count() {
    const effects = await this.#context.counters.refresh();
    return effects && (effects[this.#scenario.route] ?? 0);
  }

  async #subjectOf(run) {
    const { make = () => ({}) } = this.#scenario;
    this.#subject ??= await Promise.resolve(make(run));
    return this.#subject;
  }

  async #showFacts() {
    const { facts, make } = this.#scenario;
    const subject = make === undefined ? {} : this.#subject;
    // There is nothing to put aside before the first press.
    this.#fresh.hidden = subject === undefined;
    if (facts === undefined) return;
    const { timeline, user } = this.#context;
    const shown =
      subject === undefined
        ? []
        : await Promise.resolve(facts(subject, new Run(timeline, user, 0))).catch(() => []);
    this.#facts.replaceChildren(
      ...shown.map(([term, value]) =>
        element('div', {}, element('dt', {}, term), element('dd', {}, value)),
      ),
    );
  }

  #showHint() {
    this.#result.replaceChildren(
      element(
        'p',
        { class: 'empty' },
        'Press a button. The results appear here, and on the timeline as bars.',
      ),
    );
  }

  #showResult(run, executions) {
    const [sent = 'request', ran = 'execution'] = this.#scenario.words ?? [];
    const numbers = element('p', { class: 'numbers' }, number(run.requests, sent));
    if (executions === GONE) numbers.append(element('span', { class: 'gone' }, WHAT_IS_GONE));
    else numbers.append(executions === undefined ? ' …' : number(executions, ran));
    this.#result.replaceChildren(
      ...(run.requests === 0 ? [] : [numbers]),
      element('ul', { class: 'replies' }, ...grouped(run.replies)),
    );
  }
}

function number(value, noun) {
  const [head, ...tail] = noun.split(/(?=[, ])/);
  const words = `${value === 1 ? head : pluralOf(head)}${tail.join('')}`;
  return element('span', { class: 'number' }, element('b', {}, String(value)), ` ${words}`);
}

const pluralOf = (noun) => `${noun}s`;

/** What came back, the same answers together. */
function grouped(replies) {
  const groups = new Map();
  for (const reply of replies) {
    const label = labelOf(reply);
    groups.set(label, { reply, times: (groups.get(label)?.times ?? 0) + 1 });
  }
  // The first reply is what all others are compared with.
  const sorted = [...groups].sort(([, a], [, b]) => isFirst(b.reply) - isFirst(a.reply));
  return sorted.map(([label, { reply, times }]) =>
    element(
      'li',
      { 'data-kind': kindOf(reply) },
      element('span', { class: 'times' }, `${times} ×`),
      element('span', {}, label),
      bodyOf(reply),
    ),
  );
}

const isFirst = (reply) => Number(kindOf(reply) === 'executed');

function kindOf({ status, isReplayed }) {
  if (status === 0) return 'lost';
  if (isReplayed) return 'replayed';
  if (status >= 500) return 'failed';
  return status >= 400 ? 'refused' : 'executed';
}

function labelOf({ status, isReplayed, retryAfter, body }) {
  if (status === 0) return 'reply lost: the connection was cut';
  const code = typeof body.code === 'string' ? ` ${body.code}` : '';
  const replayed = isReplayed ? ', Idempotent-Replayed: true' : '';
  const later = retryAfter === null ? '' : `, Retry-After: ${retryAfter}`;
  return `${status}${code}${replayed}${later}`;
}

function bodyOf({ status, body }) {
  if (status === 0) return undefined;
  const text = typeof body.detail === 'string' ? body.detail : JSON.stringify(body);
  return element('code', { class: 'body' }, text.length > 160 ? `${text.slice(0, 160)}…` : text);
}
