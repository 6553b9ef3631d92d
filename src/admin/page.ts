import { createHash } from 'node:crypto';

const STYLE = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; }
h1 { font-size: 1.3rem; }
form, nav { display: flex; flex-wrap: wrap; gap: .5rem; align-items: end; margin: .75rem 0; }
label { display: grid; font-size: .85rem; }
[hidden] { display: none !important; }
input, select, button, textarea { font: inherit; padding: .25rem .5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .5rem; border-bottom: 1px solid #8886; vertical-align: top; overflow-wrap: anywhere; }
code { font-size: .85rem; }
[role=alert] { color: #b00020; min-height: 1.5rem; }
@media (prefers-color-scheme: dark) { [role=alert] { color: #ff8a80; } }
dialog { width: min(46rem, 92vw); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
`;

/** Every text from a record becomes a text node. Nothing is parsed as HTML. */
const SCRIPT = `
'use strict';
const base = location.pathname.replace(/\\/+$/, '');
const by = (id) => document.getElementById(id);
const node = (name, text) => {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = String(text);
  return made;
};
let cursors = [undefined];
let shown;
// Where the records that are shown are; empty for the store's own data source.
let source = '';

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Idempotency-Admin': '1' },
    body: JSON.stringify(body),
  };
  const response = await fetch(base + '/' + path, { ...options, credentials: 'same-origin' });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.message || answer.detail || 'The server answered ' + response.status + '.');
  return answer;
}

async function attempt(work) {
  by('problem').textContent = '';
  by('refused').textContent = '';
  try { await work(); } catch (error) {
    by(by('story').open ? 'refused' : 'problem').textContent = error.message;
  }
}

function facts(record) {
  const failure = record.failure && record.failure.name + ': ' + record.failure.message;
  const settled = record.settledBy || {};
  return [
    ['Record', record.id], ['State', record.isAbandoned ? 'abandoned' : record.state],
    ['Scope', record.scope], ['Label', record.label], ['Attempts', record.attempt],
    ['Finished steps', record.steps.join(', ')], ['Made', record.createdAt], ['Last attempt', record.claimedAt],
    ['Held', record.heldAt], ['Reason', record.reason], ['Failure', failure],
    ['Settled', record.settledAt], ['Settled by', settled.by], ['Because', settled.reason],
  ].filter(([, value]) => value !== undefined && value !== null && value !== '');
}

async function list() {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(by('filter'))) if (value !== '') query.set(name, value);
  const cursor = cursors[cursors.length - 1];
  if (cursor !== undefined) query.set('cursor', cursor);
  source = by('source').value;
  const page = await ask('records?' + query);
  const rows = by('rows');
  rows.replaceChildren();
  for (const record of page.records) {
    const row = rows.appendChild(node('tr'));
    row.append(
      node('td', record.heldAt || record.claimedAt || record.createdAt || ''), node('td', record.scope || ''),
      node('td', record.label || ''), node('td', record.reason || (record.isAbandoned ? 'abandoned' : record.state)),
    );
    const cell = row.appendChild(node('td'));
    const button = cell.appendChild(node('button', 'Show'));
    button.type = 'button';
    button.setAttribute('aria-label', 'Show ' + (record.label || record.id));
    button.addEventListener('click', () => attempt(() => show(record.id)));
  }
  by('empty').hidden = page.records.length > 0;
  by('next').disabled = page.cursor === undefined;
  by('next').dataset.cursor = page.cursor === undefined ? '' : page.cursor;
  by('first').disabled = cursors.length === 1;
}

async function show(id) {
  const record = await ask('records/' + encodeURIComponent(id) + (source === '' ? '' : '?source=' + encodeURIComponent(source)));
  shown = id;
  const list = by('facts');
  list.replaceChildren();
  for (const [name, value] of facts(record)) list.append(node('dt', name), node('dd', value));
  by('settle').hidden = !(record.state === 'held' || record.isAbandoned);
  if (!by('story').open) by('story').showModal();
}

by('filter').addEventListener('submit', (event) => {
  event.preventDefault();
  cursors = [undefined];
  attempt(list);
});
by('next').addEventListener('click', () => { cursors.push(by('next').dataset.cursor); attempt(list); });
by('first').addEventListener('click', () => { cursors = [undefined]; attempt(list); });
by('close').addEventListener('click', () => by('story').close());
by('decision').addEventListener('change', () => { by('reply').hidden = by('decision').value !== 'reply'; });
by('settle').addEventListener('submit', (event) => {
  event.preventDefault();
  attempt(async () => {
    const body = Object.fromEntries(new FormData(by('settle')));
    if (source !== '') body.source = source;
    if (body.decision !== 'reply') { delete body.value; delete body.status; }
    else {
      if (body.status === '') delete body.status;
      if (body.value === '') delete body.value;
      else try { body.value = JSON.parse(body.value); } catch { throw new Error('The reply must be JSON, such as {"id":7}, or "text" in quotes.'); }
    }
    by('send').disabled = true;
    try { await ask('records/' + encodeURIComponent(shown) + '/settle', body); } finally { by('send').disabled = false; }
    await show(shown);
    await list();
  });
});
attempt(async () => {
  const operator = await ask('operator');
  if (operator.by !== null) { by('who').hidden = true; by('name').required = false; by('signed').textContent = 'Signed in as ' + operator.by; }
  for (const name of operator.sources || []) by('source').append(node('option', name));
  by('where').hidden = operator.sources === undefined;
  await list();
});
`;

const hashOf = (text: string): string =>
  `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Content-Security-Policy of the page: its own script and style, and requests to its own origin. */
export const PAGE_POLICY = [
  "default-src 'none'",
  `script-src ${hashOf(SCRIPT)}`,
  `style-src ${hashOf(STYLE)}`,
  "connect-src 'self'",
  // The empty icon, so that no browser asks for another one.
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The page. It is the same for everybody; what it shows comes from the routes beside it. */
export const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Operations that wait</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<h1>Operations that wait for a decision</h1>
<p id="signed"></p>
<form id="filter">
<label>State <select name="state"><option value="held">held</option><option value="abandoned">abandoned</option></select></label>
<label>Scope <input name="scope" placeholder="POST /payments"></label>
<label>Label <input name="label"></label>
<label>Older than <input name="olderThan" placeholder="10m"></label>
<label id="where" hidden>Data source <select id="source" name="source"><option value="">the store's own</option></select></label>
<button>List</button>
</form>
<p id="problem" role="alert"></p>
<table>
<thead><tr><th>Since</th><th>Scope</th><th>Label</th><th>Why</th><th></th></tr></thead>
<tbody id="rows"></tbody>
</table>
<p id="empty" hidden>Nothing on this page.</p>
<nav><button id="first" type="button" disabled>First page</button><button id="next" type="button" disabled>Next page</button></nav>
<dialog id="story" aria-label="One operation">
<dl id="facts"></dl>
<form id="settle">
<label>What happened <select id="decision" name="decision"><option value="reply">it was done: retries get this reply</option><option value="release">it was not done: the next retry runs</option><option value="hold">nobody knows: hold it</option></select></label>
<span id="reply"><label>Status <input name="status" inputmode="numeric" placeholder="201"></label><label>Reply (JSON) <textarea name="value" rows="3" cols="40" placeholder='{"id":7}'></textarea></label></span>
<label id="who">Your name <input id="name" name="by" required maxlength="200"></label>
<label>Reason <input name="reason" required maxlength="200"></label>
<button id="send">Settle</button>
</form>
<p id="refused" role="alert"></p>
<button id="close" type="button">Close</button>
</dialog>
<script>${SCRIPT}</script>
</body>
</html>
`;
