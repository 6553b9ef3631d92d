/**
 * The folders of `src` as floors, lowest first: a folder imports from floors below its own only.
 * Folders that stand on one floor know nothing of each other. `.` is the files beside the folders.
 */
exports.FLOORS = [
  ['engine'],
  [
    'encryption',
    'keys',
    'observability',
    'replies',
    'stores/memory',
    'stores/redis',
    'stores/sharded',
    'stores/sql',
  ],
  ['stores/typeorm'],
  ['operation'],
  ['options'],
  ['tokens'],
  ['strategies'],
  ['handlers'],
  ['calls'],
  ['operators'],
  ['transports/graphql', 'transports/http', 'transports/method', 'transports/rpc', 'transports/ws'],
  ['transports'],
  ['decorators'],
  ['.'],
  [
    'admin',
    'bullmq',
    'client',
    'contracts',
    'etcd',
    'opentelemetry',
    'swagger',
    'terminus',
    'testing/contract',
    'zookeeper',
  ],
  ['cli', 'schematics', 'testing'],
];
