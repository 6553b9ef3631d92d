import { jest } from '@jest/globals';
import { connect as connectNats } from '@nats-io/transport-node';
import { connect as connectRabbitmq } from 'amqplib';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ChildProgram, end } from '../support/child-program.js';
import { natsUrl, startNats } from '../support/servers/nats.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { rabbitmqUrl, startRabbitmq } from '../support/servers/rabbitmq.js';
import type { Forgotten } from './programs/forgetful.js';

jest.setTimeout(120_000);

/** What ends only when it is made to; a server that is busy takes its time. */
const GONE_WITHIN_MS = 30_000;

let forgetful: ChildProgram;
beforeAll(async () => {
  forgetful = await ChildProgram.compile('test/servers/programs/forgetful.ts');
});
afterAll(() => forgetful?.stop());

/** In this order: each test uses the two servers as the one before has left them. */
describe.each([
  { name: 'RabbitMQ', start: startRabbitmq, passOn: throughRabbitmq, leave: publish, find: take },
  // It keeps nothing.
  { name: 'NATS', start: startNats, passOn: throughNats, leave: nothing, find: throughNats },
])('$name', ({ name, start, passOn, leave, find }) => {
  let servers: PrivateServer[] = [];
  let daemons: string[];

  beforeAll(async () => {
    daemons = running('epmd');
    servers = await Promise.all([start(), start()]);
  });
  afterAll(() => Promise.all(servers.map((server) => server.stop())));

  it('passes messages on, two servers beside each other with messages of their own', async () => {
    const [first, second] = servers;
    expect(await passOn(first!.port, 'one')).toBe('one');
    expect(await passOn(second!.port, 'two')).toBe('two');
  });

  it('passes messages on after a pause', async () => {
    const [server] = servers;
    server!.pause();
    expect(await leftOf(server!.processes(), (state) => !state.startsWith('T'))).toEqual([]);
    const passedOn = passOn(server!.port, 'paused');
    server!.resume();
    expect(await passedOn).toBe('paused');
  });

  it('passes messages on after a power cut, and has kept what is durable', async () => {
    const [server] = servers;
    await leave(server!.port, 'kept');
    await server!.restart();
    expect(await find(server!.port, 'kept')).toBe('kept');
    expect(await passOn(server!.port, 'restarted')).toBe('restarted');
  });

  it('leaves no process and no file behind', async () => {
    const server = servers.pop()!;
    await passOn(server.port, 'last');
    const processes = server.processes();
    expect(processes.filter((pid) => isRunning(stateOf(pid)))).toEqual(processes);
    await server.stop();
    expect(await leftOf(processes, isRunning)).toEqual([]);
    expect(existsSync(server.folder)).toBe(false);
    expect(running('epmd')).toEqual(daemons);
  });

  it('does not outlive tests that are killed', async () => {
    const tests = await forgetful.start<Forgotten>({ SERVER: name });
    const { folder, processes } = tests.ready;
    expect(processes.filter((pid) => isRunning(stateOf(pid)))).toEqual(processes);
    await end(tests.process);
    expect(await leftOf(processes, isRunning)).toEqual([]);
    while (existsSync(folder)) await sleep(20);
  });
});

async function throughRabbitmq(port: number, message: string): Promise<string> {
  await publish(port, message);
  return take(port, message);
}

/** In a queue of its own; resolves once the broker answers for it. */
async function publish(port: number, message: string): Promise<void> {
  const connection = await connectRabbitmq(rabbitmqUrl(port));
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue(message, { durable: true });
  channel.sendToQueue(message, Buffer.from(message), { persistent: true });
  await channel.waitForConfirms();
  await connection.close();
}

async function take(port: number, queue: string): Promise<string> {
  const connection = await connectRabbitmq(rabbitmqUrl(port));
  const channel = await connection.createChannel();
  const message = await channel.get(queue, { noAck: true });
  await connection.close();
  return message ? message.content.toString() : 'nothing';
}

function nothing(): Promise<void> {
  return Promise.resolve();
}

async function throughNats(port: number, message: string): Promise<string> {
  const connection = await connectNats({ servers: natsUrl(port) });
  const subscription = connection.subscribe(message, { max: 1 });
  connection.publish(message, message);
  let received = 'nothing';
  for await (const delivery of subscription) received = delivery.string();
  await connection.close();
  return received;
}

/** Which of the processes are still in a state that they are about to leave. */
async function leftOf(
  processes: readonly number[],
  isLeft: (state: string) => boolean,
): Promise<number[]> {
  const giveUpAt = Date.now() + GONE_WITHIN_MS;
  for (;;) {
    const left = processes.filter((pid) => isLeft(stateOf(pid)));
    if (left.length === 0 || Date.now() > giveUpAt) return left;
    await sleep(20);
  }
}

/** As `ps` writes it; empty for a process that is gone. */
function stateOf(pid: number): string {
  return ps('-o', 'stat=', '-p', String(pid)).trim();
}

/** A process that has ended may wait to be asked how (Z). */
function isRunning(state: string): boolean {
  return state !== '' && !state.startsWith('Z');
}

function running(name: string): string[] {
  const lines = ps('-e', '-o', 'stat=,pid=,comm=').split('\n');
  return lines.filter((line) => line.endsWith(` ${name}`) && isRunning(line));
}

function ps(...options: readonly string[]): string {
  return spawnSync('ps', options, { encoding: 'utf8' }).stdout;
}
