import { readFileSync } from 'node:fs';
import { PrivateServer } from './private-server.js';

/** A mock cluster of librdkafka: the protocol of Kafka with topics and consumer groups, not Apache Kafka. */
export interface KafkaServer {
  /** `host:port`. */
  readonly broker: string;
  stop(): Promise<void>;
}

/** The cluster lives in a consumer of `kcat`, which says where it listens. */
const BROKER = /replaced with (127\.0\.0\.1:\d+)/;

export async function startKafka(): Promise<KafkaServer> {
  let log = '';
  const brokerOf = (): string | undefined => BROKER.exec(readFileSync(log, 'utf8'))?.[1];
  const server = await PrivateServer.start({
    name: 'kafka',
    command: (folder) => {
      log = `${folder}.log`;
      const mock = ['-b', 'mock', '-X', 'test.mock.num.brokers=1'];
      return ['kcat', ...mock, '-C', '-t', 'nothing', '-o', 'end'];
    },
    ping: () =>
      brokerOf() === undefined ? Promise.reject(new Error('no port')) : Promise.resolve(),
  });
  return { broker: brokerOf()!, stop: () => server.stop() };
}
