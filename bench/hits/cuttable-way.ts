/** A way through to the service whose connections can be cut at any byte. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export class CuttableWay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #cutAfter: () => number | undefined;

  /**
   * @param target - host:port, asked at each connection
   * @param cutAfter - after how many bytes from the service a new connection is cut by itself; undefined: never
   */
  constructor(target: () => string, cutAfter: () => number | undefined) {
    this.#cutAfter = cutAfter;
    this.#server = createServer((near) => this.#join(near, target()));
  }

  /** @returns its address, host:port */
  async open(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Cuts every connection, at once and without a farewell. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #join(near: Socket, target: string): void {
    const port = Number(target.split(':')[1]);
    const far = connect(port, '127.0.0.1');
    let rest = this.#cutAfter() ?? Infinity;
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    near.pipe(far);
    far.on('data', (bytes: Buffer) => {
      near.write(bytes.subarray(0, rest));
      rest -= bytes.length;
      if (rest <= 0) near.destroySoon();
    });
  }
}
