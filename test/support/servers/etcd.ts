import { Etcd3 } from 'etcd3';
import { PrivateServer } from './private-server.js';

/** Leases of one second and more: the least is three halves of an election. */
export function startEtcd(): Promise<PrivateServer> {
  return PrivateServer.start({
    name: 'etcd',
    command: (folder, port) => [
      'etcd',
      '--data-dir',
      `${folder}/data`,
      '--listen-client-urls',
      `http://127.0.0.1:${port}`,
      '--advertise-client-urls',
      `http://127.0.0.1:${port}`,
      // It has no peers.
      '--listen-peer-urls',
      'http://127.0.0.1:0',
      '--heartbeat-interval',
      '30',
      '--election-timeout',
      '300',
      '--log-level',
      'error',
    ],
    environment: () => ({ ETCD_UNSUPPORTED_ARCH: process.arch }),
    ping: async (port) => {
      const client = new Etcd3({ hosts: etcdUrl(port) });
      try {
        await client.get('ping').exec();
      } finally {
        client.close();
      }
    },
  });
}

export function etcdUrl(port: number): string {
  return `http://127.0.0.1:${port}`;
}
