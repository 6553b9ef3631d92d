// Starts a server, and never stops it.
import { startNats } from '../../support/servers/nats.js';
import { startRabbitmq } from '../../support/servers/rabbitmq.js';

export interface Forgotten {
  readonly folder: string;
  readonly processes: readonly number[];
}

const server = await (process.env.SERVER === 'NATS' ? startNats() : startRabbitmq());
const forgotten: Forgotten = { folder: server.folder, processes: server.processes() };
process.send?.(forgotten);
