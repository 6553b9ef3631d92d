import { Counters } from './counters.js';
import { element } from './dom.js';
import { ScenarioView } from './scenario-view.js';
import { SCENARIOS } from './scenarios.js';
import { Timeline } from './timeline.js';
import { TimelineView } from './timeline-view.js';

const USER = 'shop:user';

const byId = (id) => document.getElementById(id);

const timeline = new Timeline();
const counters = new Counters(byId('counters'));
new TimelineView(timeline, {
  container: byId('bursts'),
  inspector: byId('inspector'),
  legend: byId('legend'),
});

const user = byId('user');
user.value = sessionStorage.getItem(USER) ?? 'alice';
user.addEventListener('change', () => sessionStorage.setItem(USER, user.value));

/** @type {ScenarioView | undefined} */
let view;

function show() {
  const id = location.hash.slice(1);
  const scenario = SCENARIOS.find((candidate) => candidate.id === id);
  // Other hashes are places on the page.
  if (scenario === undefined && view !== undefined) return;
  view?.dispose();
  view = new ScenarioView({ timeline, counters, user: () => user.value }, scenario ?? SCENARIOS[0]);
  byId('panel').replaceChildren(view.node);
  const shown = (scenario ?? SCENARIOS[0]).id;
  for (const link of byId('scenarios').querySelectorAll('a')) {
    const isShown = link.hash === `#${shown}`;
    if (isShown) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
    if (isShown) bringIntoView(link);
  }
}

/** Scrolls the list of scenarios, which is a line on a phone, and never the page. */
function bringIntoView(link) {
  const list = byId('scenarios');
  list.scrollLeft = link.offsetLeft - (list.clientWidth - link.clientWidth) / 2;
}

function listScenarios() {
  const groups = Map.groupBy(SCENARIOS, ({ group }) => group);
  for (const [group, scenarios] of groups) {
    const links = scenarios.map(({ id, title }) =>
      element('li', {}, element('a', { href: `#${id}` }, title)),
    );
    const heading = `group-${scenarios[0].id}`;
    byId('scenarios').append(
      element('h2', { id: heading }, group),
      element('ul', { 'aria-labelledby': heading }, ...links),
    );
  }
}

timeline.addEventListener('change', () => counters.refreshSoon());
timeline.addEventListener('restart', () => {
  counters.reset();
  view?.reset();
});
timeline.addEventListener('connection', ({ detail: isConnected }) => {
  const banner = byId('connection');
  banner.textContent = isConnected
    ? ''
    : 'No connection to the shop. Trying again. Is its process still running?';
  banner.classList.toggle('shown', !isConnected);
  if (isConnected) counters.refreshSoon();
});
byId('clear').addEventListener('click', () => timeline.clear());
addEventListener('hashchange', show);

listScenarios();
show();
timeline.connect();
void counters.refresh();
