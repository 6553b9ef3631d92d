import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Documents outside of `docs` that the site has, because its pages link to them. */
const OTHERS = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'bench/README.md',
  'bench/RESULTS.md',
  'sample-app/README.md',
  'src/README.md',
];

/** The documents that the site shows, as paths from the root with slashes. */
export function documents() {
  const below = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .map((name) => `docs/${name.replaceAll('\\', '/')}`)
    .filter((name) => name.endsWith('.md'));
  return [...OTHERS.filter((name) => existsSync(join(root, name))), ...below.sort()];
}

/**
 * The pages of the site: text by path. A `README.md` becomes the `index.md` of its folder.
 *
 * A link to a file that is no page, such as a source file, leads to the repository. If package.json
 * names none, only its text is left.
 */
export function sitePages() {
  const names = documents();
  return new Map(
    names.map((name) => [
      asPage(name),
      outsideOfCode(readFileSync(join(root, name), 'utf8'), (text) => withLinks(text, name, names)),
    ]),
  );
}

/** Files that pages show or link to, and that the site therefore has: pictures. */
export function pictures() {
  return readdirSync(join(root, 'docs/images')).map((name) => `docs/images/${name}`);
}

function asPage(name) {
  return name.replace(/(^|\/)README\.md$/, '$1index.md');
}

function withLinks(text, document, names) {
  return text.replaceAll(
    /(!?)\[((?:[^\][]|\[[^\]]*\])*)\]\(([^)\s]+)\)/g,
    (link, mark, label, target) => {
      if (/^[a-z]+:|^#/.test(target) || mark === '!') return link;
      const [file, heading] = target.split('#');
      const path = posix.join(posix.dirname(document), file);
      const anchor = heading === undefined ? '' : `#${heading}`;
      if (names.includes(path)) return `[${label}](${asPage(file)}${anchor})`;
      const repository = repositoryPage(path);
      return repository === undefined ? label : `[${label}](${repository})`;
    },
  );
}

function repositoryPage(path) {
  const { repository } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const url = (typeof repository === 'string' ? repository : repository?.url)
    ?.replace(/^git\+/, '')
    .replace(/\.git$/, '');
  if (url === undefined || !url.startsWith('https:')) return undefined;
  const isFolder = statSync(join(root, path), { throwIfNoEntry: false })?.isDirectory();
  return `${url}/${isFolder ? 'tree' : 'blob'}/main/${path}`;
}

/** Applies `change` to what is no fenced block. */
function outsideOfCode(text, change) {
  return text
    .split(/(^ *```.*?^ *```$)/ms)
    .map((part, index) => (index % 2 === 0 ? change(part) : part))
    .join('');
}
