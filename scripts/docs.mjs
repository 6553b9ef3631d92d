// The documents as a site with search: `npm run docs` builds it and serves it on 127.0.0.1,
// `npm run docs -- --build` only builds it, to dist/docs.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pictures, sitePages } from './docs/pages.mjs';

/** Installed apart from the project: only this script needs them. None has to run an install script. */
const PACKAGES = { vitepress: '1.6.4', mermaid: '11.12.0' };

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const site = join(root, 'dist', 'docs-site');

install();
writePages();
vitepress('build');
if (!process.argv.includes('--build')) vitepress('preview', '--host', '127.0.0.1');

function install() {
  const isInstalled = Object.entries(PACKAGES).every(([name, version]) => {
    const manifest = join(site, 'node_modules', name, 'package.json');
    return existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version === version;
  });
  if (isInstalled) return;
  console.log('Installing VitePress …');
  mkdirSync(site, { recursive: true });
  write('package.json', JSON.stringify({ private: true, type: 'module', dependencies: PACKAGES }));
  run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    shell: process.platform === 'win32',
  });
}

function writePages() {
  rmSync(join(site, 'pages'), { recursive: true, force: true });
  for (const [name, text] of sitePages()) write(join('pages', name), text);
  for (const name of pictures()) cpSync(join(root, name), join(site, 'pages', name));
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  write(
    '.vitepress/site.mjs',
    `export const version = '${version}';\nexport const sidebar = ${JSON.stringify(sidebar())};\n`,
  );
  cpSync(join(root, 'scripts/docs/config.mjs'), join(site, '.vitepress/config.mjs'));
  mkdirSync(join(site, '.vitepress/theme'), { recursive: true });
  cpSync(join(root, 'scripts/docs/theme.mjs'), join(site, '.vitepress/theme/index.mjs'));
}

/** The tables of the index, as groups of the sidebar: the first link of each row. */
function sidebar() {
  const index = readFileSync(join(root, 'docs/README.md'), 'utf8');
  const groups = index.split(/^## /m).slice(1);
  return groups.map((group) => {
    const seen = new Set();
    const items = [...group.matchAll(/^\|.*?\| \[([^\]]+)\]\(([^)#]+)\.md\)/gm)]
      .filter(([, , page]) => !seen.has(page) && seen.add(page))
      .map(([, text, page]) => ({
        text: text[0].toUpperCase() + text.slice(1),
        link: `/docs/${page.replace(/README$/, '')}`,
      }));
    return { text: group.split('\n')[0], items };
  });
}

function write(name, text) {
  const path = join(site, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function vitepress(...args) {
  run(process.execPath, ['node_modules/vitepress/bin/vitepress.js', ...args]);
}

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: site, stdio: 'inherit', ...options });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
