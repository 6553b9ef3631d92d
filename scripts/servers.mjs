// The servers, and the browser, that the tests start for themselves: found, or installed, never skipped.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const SERVERS = [
  {
    program: 'redis-server',
    package: 'redis-server',
    service: 'redis-server',
    url: 'TEST_REDIS_URL',
  },
  {
    program: 'mariadbd',
    package: 'mariadb-server',
    service: 'mariadb',
    url: 'TEST_MARIADB_URL',
  },
  {
    program: 'postgres',
    package: 'postgresql',
    service: 'postgresql',
    url: 'TEST_POSTGRES_URL',
  },
  {
    program: 'rabbitmq-server',
    package: 'rabbitmq-server',
    service: 'rabbitmq-server',
    url: 'TEST_RABBITMQ_URL',
  },
  { program: 'nats-server', package: 'nats-server', service: 'nats-server', url: 'TEST_NATS_URL' },
  { program: 'mosquitto', package: 'mosquitto', service: 'mosquitto' },
  { program: 'etcd', package: 'etcd-server', service: 'etcd' },
  { program: 'zkServer.sh', package: 'zookeeper' },
  // It runs a mock cluster of Kafka.
  { program: 'kcat', package: 'kcat' },
  { program: 'chromium', package: 'chromium' },
];

/** Debian keeps the programs of PostgreSQL in a folder per version, off the PATH. */
const POSTGRESQL = '/usr/lib/postgresql';

/** Where Debian keeps the programs of ZooKeeper. */
const ZOOKEEPER = '/usr/share/zookeeper/bin';

/**
 * Installs packages without leaving a service behind. `policy-rc.d` forbids the installation to
 * start one; a policy that is there already may allow it, so they are stopped afterwards as well.
 */
const INSTALL = `
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\\nexit 101\\n' > "$policy"
  chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends $1
for service in $2; do service "$service" stop >/dev/null 2>&1 || true; done
# What stops RabbitMQ starts a daemon that names Erlang's nodes; where it names one, it stays.
epmd -kill >/dev/null 2>&1 || true
`;

/** Where programs may be: the PATH, and what Debian leaves off it. */
export function searchedFolders(path = process.env.PATH ?? '') {
  let versions = [];
  try {
    versions = readdirSync(POSTGRESQL).sort((a, b) => Number(b) - Number(a));
  } catch {
    // Not on Debian, or not installed.
  }
  return [
    ...path.split(delimiter).filter((folder) => folder !== ''),
    '/usr/sbin',
    ZOOKEEPER,
    ...versions.map((version) => join(POSTGRESQL, version, 'bin')),
  ];
}

/** The servers whose program is in none of the folders. */
export function missingServers(folders) {
  return SERVERS.filter(({ program }) => !has(folders, program));
}

/** What to do where nothing can be installed automatically. */
export function remedy(missing) {
  const programs = missing.map(({ program }) => program).join(', ');
  const packages = missing.map((server) => server.package).join(' ');
  return [
    `The tests need these programs, which were not found: ${programs}.`,
    `Install them (Debian and Ubuntu: apt-get install ${packages}), or install Docker, in which`,
    'npm test then runs itself: docker compose run --rm test',
  ].join('\n');
}

/** What fails although a server was given, because some tests need one of their own. */
export function notice(given) {
  return given
    .map(
      ({ program, url }) =>
        `${program} was not found: ${url} serves most tests; those that kill, pause or configure their server fail.`,
    )
    .join('\n');
}

/** Missing servers, apart by whether the environment has another of the kind. */
export function withoutUrl(missing, env = process.env) {
  const isGiven = ({ url }) => url !== undefined && Boolean(env[url]);
  return {
    given: missing.filter(isGiven),
    needed: missing.filter((server) => !isGiven(server)),
  };
}

/**
 * Makes sure that every server is there: given by a URL, found, or installed.
 *
 * @returns the PATH on which all of them are found
 * @throws Error that names what is missing and cannot be installed
 */
export function provideServers() {
  const { given, needed } = withoutUrl(missingServers(searchedFolders()));
  if (given.length > 0) console.warn(notice(given));
  if (needed.length > 0) install(needed);
  const folders = searchedFolders();
  const stillMissing = withoutUrl(missingServers(folders)).needed;
  if (stillMissing.length > 0) throw new Error(remedy(stillMissing));
  return folders.join(delimiter);
}

/** In the container it is set, so that no container is started in there. */
const IN_CONTAINER = 'IDEMPOTENCY_TEST_CONTAINER';

/** True where Docker Compose is installed and an engine answers it. */
export function hasDocker() {
  if (process.env[IN_CONTAINER]) return false;
  const answers = (...args) => spawnSync('docker', args, { stdio: 'ignore' }).status === 0;
  return answers('compose', 'version') && answers('info');
}

/**
 * The same command in a container that has all servers (`compose.yaml`).
 *
 * @returns its exit code
 */
export function runInContainer(cwd, ...command) {
  const { status } = spawnSync('docker', ['compose', 'run', '--rm', 'test', ...command], {
    cwd,
    stdio: 'inherit',
  });
  return status ?? 1;
}

function install(missing) {
  if (!has(searchedFolders(), 'apt-get')) return;
  const asRoot = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
  if (asRoot.length > 0 && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status !== 0)
    return;
  const packages = missing.map((server) => server.package).join(' ');
  const services = missing.map(({ service = '' }) => service).join(' ');
  console.log(`Installing ${packages} …`);
  const [program, ...args] = [...asRoot, 'sh', '-c', INSTALL, 'install', packages, services];
  spawnSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

function has(folders, program) {
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
