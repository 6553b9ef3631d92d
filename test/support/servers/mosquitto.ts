import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { PrivateServer } from './private-server.js';

export function startMosquitto(): Promise<PrivateServer> {
  const file = (folder: string): string => join(folder, 'mosquitto.conf');
  return PrivateServer.start({
    name: 'mosquitto',
    command: (folder, port) => {
      writeFileSync(file(folder), `listener ${port} 127.0.0.1\nallow_anonymous true\n`);
      return ['mosquitto', '-c', file(folder)];
    },
    ping: async (port) => {
      const client = await connectAsync(mqttUrl(port), { reconnectPeriod: 0 });
      await client.endAsync();
    },
  });
}

export function mqttUrl(port: number): string {
  return `mqtt://127.0.0.1:${port}`;
}
