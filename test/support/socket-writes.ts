import { Socket } from 'node:net';

type WriteGeneric = (this: Socket, ...args: unknown[]) => unknown;
interface Written {
  _writeGeneric: WriteGeneric;
}

/**
 * Counts what this process writes to sockets that lead to some ports. Each write of Node's is one
 * system call, however many pieces are in it.
 */
export class SocketWrites {
  count = 0;
  private readonly original: WriteGeneric;

  constructor(ports: readonly number[]) {
    const prototype = Socket.prototype as unknown as Written;
    const original = (this.original = prototype._writeGeneric);
    const counts = (socket: Socket): void => {
      if (!socket.connecting && ports.includes(socket.remotePort ?? 0)) this.count += 1;
    };
    prototype._writeGeneric = function (...args) {
      counts(this);
      return original.apply(this, args);
    };
  }

  /** How many since it was last asked. */
  taken(): number {
    const { count } = this;
    this.count = 0;
    return count;
  }

  stop(): void {
    (Socket.prototype as unknown as Written)._writeGeneric = this.original;
  }
}
