/** A proxy to a database whose connections can be cut: at once, or at a statement. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface Line {
  /** The database's URL through this proxy. */
  readonly url: string;
  /** Closes every connection, and accepts no other. */
  cut(): void;
  /** Cuts the connection at this statement. @param isDelivered - the database still receives it */
  cutAt(statement: string, isDelivered: boolean): void;
  /** Accepts connections again, and cuts none. */
  mend(): void;
  close(): void;
}

export async function startLine(databaseUrl: string): Promise<Line> {
  const sockets = new Set<Socket>();
  let isDown = false;
  let at: { readonly statement: string; readonly isDelivered: boolean } | undefined;
  const server = createServer((near) => {
    const far = connect(Number(new URL(databaseUrl).port), '127.0.0.1');
    const end = () => {
      for (const socket of [near, far]) {
        socket.destroy();
        sockets.delete(socket);
      }
    };
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', end).on('close', end);
    }
    if (isDown) end();
    let isCut = false;
    far.on('data', (data) => (isCut ? end() : near.write(data)));
    near.on('data', (data) => {
      isCut ||= at !== undefined && data.includes(at.statement);
      if (isCut && at?.isDelivered === false) end();
      else far.write(data);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const through = new URL(databaseUrl);
  through.port = String((server.address() as AddressInfo).port);
  const endAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: through.href,
    cut: () => {
      isDown = true;
      endAll();
    },
    cutAt: (statement, isDelivered) => void (at = { statement, isDelivered }),
    mend: () => {
      isDown = false;
      at = undefined;
    },
    close: () => {
      server.close();
      endAll();
    },
  };
}
