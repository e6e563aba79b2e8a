'use strict';
// WebSocket clients: a greeting, an echo, item changes, and a check that they are still there.

const { WebSocketServer } = require('ws');

const ALIVE_MS = 30_000;
const SERVICE_RESTART = 1012;

/** {handle, broadcast, close}. `close` asks clients to come back later; those that do not answer in 2 s are cut. */
function live({ release, slot }) {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 });
  const alive = new WeakSet();
  const send = (client, message) => client.send(JSON.stringify(message));

  sockets.on('connection', (client) => {
    alive.add(client);
    client.on('pong', () => alive.add(client));
    client.on('error', () => client.terminate());
    client.on('message', (data, binary) => {
      let message;
      try {
        message = binary ? null : JSON.parse(data.toString());
      } catch {
        message = null;
      }
      send(client, message && message.type === 'echo' ? message : { type: 'error', error: 'expected {"type":"echo"}' });
    });
    send(client, { type: 'hello', release, slot });
  });

  setInterval(() => {
    for (const client of sockets.clients) {
      if (!alive.has(client)) {
        client.terminate();
        continue;
      }
      alive.delete(client);
      client.ping();
    }
  }, ALIVE_MS).unref();

  return {
    handle: (request, socket, head) =>
      sockets.handleUpgrade(request, socket, head, (client) => sockets.emit('connection', client, request)),
    broadcast(message) {
      for (const client of sockets.clients) if (client.readyState === client.OPEN) send(client, message);
    },
    close() {
      for (const client of sockets.clients) client.close(SERVICE_RESTART, 'service restart');
      setTimeout(() => sockets.clients.forEach((client) => client.terminate()), 2000).unref();
    },
  };
}

module.exports = { live };
