// Completes package-lock.json after `npm install` on a registry that carries the binaries of some
// platforms only: npm leaves the others out of the lock file, and then `npm ci` refuses it
// everywhere. Only exact versions are added; their names tell the platform.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './setup.mjs';

const file = join(root, 'package-lock.json');
const lock = JSON.parse(readFileSync(file, 'utf8'));

const OS = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const CPU = ['arm64', 'arm', 'x64', 'ia32', 'ppc64', 'riscv64', 's390x', 'loong64'];

function platform(name) {
  const words = name.split('/').pop().split('-');
  const os = OS.find((word) => words.includes(word));
  const cpu = CPU.find((word) => words.includes(word));
  if (!os || !cpu) return undefined;
  const libc = words.some((word) => word.startsWith('musl'))
    ? 'musl'
    : words.some((word) => word.startsWith('gnu'))
      ? 'glibc'
      : undefined;
  return { cpu: [cpu], ...(os === 'linux' && libc && { libc: [libc] }), os: [os] };
}

const added = [];
const unknown = [];
for (const [parent, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const path = `node_modules/${name}`;
    if (lock.packages[path] || lock.packages[`${parent}/${path}`]) continue;
    const restriction = platform(name);
    if (!restriction || !/^\d+\.\d+\.\d+[\w.-]*$/.test(version)) {
      unknown.push(`${name}@${version}`);
      continue;
    }
    const { cpu, libc, os } = restriction;
    const dev = entry.dev && { dev: true };
    lock.packages[path] = { version, cpu, ...dev, ...(libc && { libc }), optional: true, os };
    added.push(`${name}@${version}`);
  }
}

const { '': own, ...rest } = lock.packages;
lock.packages = {
  '': own,
  ...Object.fromEntries(Object.entries(rest).sort(([a], [b]) => a.localeCompare(b, 'en'))),
};
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`Added ${added.length} platform packages to package-lock.json.`);
if (unknown.length > 0) {
  console.error(`The platform of these packages is unknown: ${unknown.join(', ')}`);
  process.exitCode = 1;
}
