import { request } from 'node:http';
import { openStore, type OpenStore } from '../processes/support/open-store.js';
import type { Share, SharedServer } from '../processes/support/servers.js';
import { type Child, ChildProgram, end, nextMessage } from '../support/child-program.js';
import {
  eventually,
  expectProblem,
  type Platform,
  type Reply,
  type TestApp,
} from '../support/http.js';
import { bootStreams, STANDS_AT_HEADER, type StandsAt } from './streams-killed.app.js';

/** The first message of the program. */
export interface StreamsReady {
  readonly port: number;
}

type Streamer = Child<StreamsReady>;

interface Received {
  readonly text: string;
  readonly how: 'end' | 'aborted';
}

/** What a client has received when the reply has ended or the connection was broken off. */
function receive(
  { ready }: Streamer,
  path: string,
  key: string,
  standsAt: StandsAt,
): Promise<Received> {
  return new Promise((resolve) => {
    let text = '';
    const headers = { 'idempotency-key': key, 'content-length': '0', [STANDS_AT_HEADER]: standsAt };
    const over = (how: Received['how']): void => resolve({ text, how });
    const sent = request({ port: ready.port, path, method: 'POST', headers }, (response) => {
      response.on('data', (piece: Buffer) => (text += piece.toString()));
      response.on('end', () => over('end'));
      response.on('error', () => over('aborted'));
    });
    sent.on('error', () => over('aborted'));
    sent.end();
  });
}

/** Replies that stream through, from processes that are killed meanwhile. */
export function describeKilledStreams(
  servers: readonly SharedServer[],
  platforms: readonly Platform[],
): void {
  const places = servers.flatMap((of) =>
    platforms.map((platform) => [of.name, platform, of] as const),
  );
  describe.each(places)('a reply that streams through, on %s and %s', (_, platform, of) => {
    let server: Share;
    let books: OpenStore;
    let program: ChildProgram;
    let other: TestApp;
    /** What the clients had when the process was killed that answered them. */
    let received: readonly Received[];

    beforeAll(async () => {
      server = await of.share();
      books = await openStore(of.name, server.url);
      program = await ChildProgram.compile('test/http/programs/streams.ts');
      const [victim] = await Promise.all([
        program.start<StreamsReady>({
          SERVER: of.name,
          PLACE: server.url,
          PLATFORM: platform,
          LEASE_MS: '1000',
        }),
        bootStreams(platform, books, 30_000).then((app) => (other = app)),
      ]);
      const replies: Promise<Received>[] = [];
      for (const [path, key, standsAt] of [
        ['/rerun', 'a', 'in the stream'],
        ['/hold', 'b', 'in the stream'],
        ['/rerun', 'c', 'on record'],
      ] as const) {
        const stands = nextMessage<StandsAt>(victim.process);
        replies.push(receive(victim, path, key, standsAt));
        await stands;
      }
      await end(victim.process);
      received = await Promise.all(replies);
    }, 60_000);

    afterAll(async () => {
      await other?.close();
      await program?.stop();
      await books?.close();
      await server?.stop();
    });

    async function answerOfOther(path: string, key: string): Promise<Reply> {
      let reply: Reply | undefined;
      await eventually(async () => {
        reply = await other.send(path, { key });
        return reply.headers['idempotency-error'] !== 'IDEMPOTENCY_KEY_IN_USE';
      });
      return reply!;
    }

    it('never looks complete to a client whose process was killed', () => {
      const part = { text: 'one ', how: 'aborted' };
      expect(received).toEqual([part, part, part]);
    });

    it('runs as the next attempt if its process was killed before the record', async () => {
      const second = await answerOfOther('/rerun', 'a');
      expect(second).toMatchObject({ status: 200, text: 'one two' });
      expect(second.headers).not.toHaveProperty('idempotent-replayed');
      const third = await answerOfOther('/rerun', 'a');
      expect(third).toMatchObject({ status: 200, text: 'one two' });
      expect(third.headers['idempotent-replayed']).toBe('true');
      expect(await books.effects('a')).toBe(2);
    });

    it('is held instead, where nobody may run it again', async () => {
      expectProblem(await answerOfOther('/hold', 'b'), 409, 'IDEMPOTENCY_OUTCOME_UNKNOWN');
      expect(await books.effects('b')).toBe(1);
    });

    it('is replayed whole if its process was killed between record and end', async () => {
      const second = await answerOfOther('/rerun', 'c');
      expect(second).toMatchObject({ status: 200, text: 'one two' });
      expect(second.headers['idempotent-replayed']).toBe('true');
      expect(await books.effects('c')).toBe(1);
    });
  });
}
