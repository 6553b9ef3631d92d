import type { PGlite } from '@electric-sql/pglite';

/** Messages of a driver that are parts of something; all others end it. */
const PARTS = new Set(Buffer.from('PBDECHdcf'));
const TERMINATE = 'X'.charCodeAt(0);

const SYNC = Uint8Array.of(0x53, 0, 0, 0, 4);
const ROLLBACK = Uint8Array.of(0x51, 0, 0, 0, 13, ...Buffer.from('ROLLBACK\0'));

interface Message {
  readonly connection: number;
  readonly bytes: Uint8Array;
  readonly onData: (data: Uint8Array) => void;
  readonly resolve: (size: number) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Lets any number of connections use the one session of PGlite, in turns: a turn is a statement with
 * all of its messages, or a transaction. The queue of `PGLiteSocketServer` mixes the messages of
 * statements, and one connection then runs what another one has prepared.
 */
export class SessionTurns {
  private waiting: Message[] = [];
  private turn: number | undefined;
  private isRunning = false;

  constructor(private readonly database: PGlite) {}

  enqueue(
    connection: number,
    bytes: Uint8Array,
    onData: (data: Uint8Array) => void,
  ): Promise<number> {
    // It would end the session, which the others go on with.
    if (bytes[0] === TERMINATE) return Promise.resolve(0);
    return new Promise((resolve, reject) => {
      this.waiting.push({ connection, bytes, onData, resolve, reject });
      void this.run();
    });
  }

  clearQueueForHandler(connection: number): void {
    this.waiting = this.waiting.filter((message) => message.connection !== connection);
  }

  /** The connection is gone, perhaps with its process: what it left open is undone. */
  async clearTransactionIfNeeded(connection: number): Promise<void> {
    if (this.turn !== connection) return;
    const ignore = (): void => undefined;
    await this.enqueue(connection, SYNC, ignore);
    await this.enqueue(connection, ROLLBACK, ignore);
  }

  private async run(): Promise<void> {
    if (this.isRunning) return;
    this.isRunning = true;
    for (let message = this.next(); message; message = this.next()) {
      this.turn = message.connection;
      await this.execute(message);
      // A message of the start has no letter, and begins with the length of it.
      const isPart = PARTS.has(message.bytes[0]!);
      if (!isPart && !this.database.isInTransaction()) this.turn = undefined;
    }
    this.isRunning = false;
  }

  private next(): Message | undefined {
    const { turn } = this;
    const index =
      turn === undefined ? 0 : this.waiting.findIndex(({ connection }) => connection === turn);
    return index < 0 ? undefined : this.waiting.splice(index, 1)[0];
  }

  private async execute({ bytes, onData, resolve, reject }: Message): Promise<void> {
    let size = 0;
    const onRawData = (data: Uint8Array): void => {
      size += data.length;
      onData(data);
    };
    try {
      await this.database.runExclusive(() =>
        this.database.execProtocolRawStream(bytes, { onRawData }),
      );
      resolve(size);
    } catch (error) {
      reject(error);
    }
  }
}
