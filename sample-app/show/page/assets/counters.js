import { element } from './dom.js';

/** How long a changed number is highlighted, in milliseconds. */
const STANDS_OUT_MS = 2_500;
const DELAY_MS = 150;

/** What really happened: how often the handlers ran, and how many rows they wrote. */
export class Counters {
  #effects = new Board('Handlers that ran', 'No handler has run yet.');
  #rows = new Board('Rows in SQL', 'No rows yet.');
  #timer;

  constructor(container) {
    container.append(this.#effects.node, this.#rows.node);
  }

  /** Refreshes soon. Several calls at once cause one refresh. */
  refreshSoon() {
    this.#timer ??= setTimeout(() => void this.refresh(), DELAY_MS);
  }

  /** @returns {Promise<Record<string, number> | undefined>} the effects; `undefined` if the server is gone */
  async refresh() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      const [effects, rows] = await Promise.all(['/effects', '/ledger'].map(read));
      this.#effects.show(effects);
      this.#rows.show(rows);
      return effects;
    } catch {
      // The banner already says that the server is gone.
      return undefined;
    }
  }

  /** Starts over with a new server: nothing counts as changed. */
  reset() {
    this.#effects.reset();
    this.#rows.reset();
  }
}

/** Named numbers, without those that are still zero. */
class Board {
  #list = element('ul', { class: 'board-list', tabindex: '0' });
  #empty;
  #shown = new Map();
  #timers = new WeakMap();
  #isFirst = true;

  constructor(title, empty) {
    this.#empty = element('p', { class: 'empty' }, empty);
    this.#list.setAttribute('aria-label', title);
    this.node = element(
      'section',
      { class: 'board', 'aria-label': title },
      element('h2', {}, title),
      this.#empty,
      this.#list,
    );
  }

  show(numbers) {
    for (const [name, number] of Object.entries(numbers)) {
      const known = this.#shown.get(name);
      if (number === 0 && known === undefined) continue;
      if (known === undefined) this.#add(name, number);
      else if (known.textContent !== String(number)) this.#change(known, number);
    }
    this.#empty.hidden = this.#shown.size > 0;
    this.#isFirst = false;
  }

  reset() {
    this.#list.replaceChildren();
    this.#shown.clear();
    this.#isFirst = true;
  }

  #add(name, number) {
    const value = element('output', { 'aria-label': name }, String(number));
    this.#shown.set(name, value);
    this.#list.append(element('li', { 'data-name': name }, element('code', {}, name), value));
    if (!this.#isFirst) this.#change(value, number);
  }

  #change(value, number) {
    value.textContent = String(number);
    const row = value.parentElement;
    row.classList.add('changed');
    // Only the list scrolls; the page stays where it is.
    this.#list.scrollTop = row.offsetTop - this.#list.clientHeight / 2;
    clearTimeout(this.#timers.get(row));
    const timer = setTimeout(() => row.classList.remove('changed'), STANDS_OUT_MS);
    this.#timers.set(row, timer);
  }
}

async function read(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}
