import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { PrivateServer } from './private-server.js';

/** In milliseconds. Sessions last two ticks at least. */
const TICK_MS = 500;

const SETTINGS = (folder: string, port: number): string => `
tickTime=${TICK_MS}
dataDir=${folder}
clientPort=${port}
clientPortAddress=127.0.0.1
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=ruok,wchs
`;

const LOG = `
log4j.rootLogger=WARN, CONSOLE
log4j.appender.CONSOLE=org.apache.log4j.ConsoleAppender
log4j.appender.CONSOLE.layout=org.apache.log4j.PatternLayout
`;

export function startZooKeeper(): Promise<PrivateServer> {
  return PrivateServer.start({
    name: 'zookeeper',
    command: (folder, port) => {
      const settings = join(folder, 'zoo.cfg');
      writeFileSync(settings, SETTINGS(folder, port));
      writeFileSync(join(folder, 'log4j.properties'), LOG);
      return [
        'java',
        '-Xmx128m',
        '-XX:TieredStopAtLevel=1',
        '-XX:+UseSerialGC',
        '-cp',
        `${folder}:/usr/share/java/zookeeper.jar`,
        'org.apache.zookeeper.server.quorum.QuorumPeerMain',
        settings,
      ];
    },
    ping: async (port) => {
      const answer = await fourLetters(port, 'ruok');
      if (answer !== 'imok') throw new Error(answer);
    },
  });
}

/** The answer to one of ZooKeeper's commands of four letters. */
export async function fourLetters(port: number, command: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write(command);
    let answer = '';
    for await (const data of socket) answer += String(data);
    return answer;
  } finally {
    socket.destroy();
  }
}
