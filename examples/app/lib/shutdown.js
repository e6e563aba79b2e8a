'use strict';
// How the process leaves: nobody new, everybody answered, then the database, within ten seconds.

const net = require('node:net');

const LIMIT_MS = 10_000;
// Longer than a proxy keeps an idle connection (nginx: 4 s), so that the proxy closes it and never writes into a closed one.
const IDLE_MS = 5_000;

/** Watch `server`; the returned function shuts down once and ends the process with 0, or with 1 at the limit. */
function graceful({ server, live, pool }) {
  const sockets = new Set();
  const answering = new Set();
  let leaving = false;

  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.prependListener('request', (_, response) => {
    answering.add(response);
    response.on('close', () => answering.delete(response));
    if (leaving) response.setHeader('Connection', 'close');
  });
  server.on('upgrade', (request, socket, head) => {
    if (leaving) {
      socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    } else if (request.url === '/ws') {
      live.handle(request, socket, head);
    } else {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    }
  });

  function closeIdle() {
    const busy = new Set([...answering].map((response) => response.socket));
    for (const socket of sockets) if (!busy.has(socket)) socket.destroy();
  }

  async function leave(signal) {
    console.log(`${signal}: stopping, ${answering.size} requests in flight`);
    setTimeout(() => {
      console.error(`not stopped after ${LIMIT_MS / 1000} s: ${answering.size} requests were cut off`);
      process.exit(1);
    }, LIMIT_MS).unref();
    for (const response of answering) if (!response.headersSent) response.setHeader('Connection', 'close');
    // http.Server.close would reset idle connections at once, and with them a request that a proxy is just sending.
    const closed = new Promise((resolve) => {
      net.Server.prototype.close.call(server, resolve);
    });
    live.close();
    let sweep;
    const patience = setTimeout(() => {
      closeIdle();
      sweep = setInterval(closeIdle, 100);
    }, IDLE_MS);
    await closed;
    clearTimeout(patience);
    clearInterval(sweep);
    await pool.end();
    console.log('stopped');
    process.exit(0);
  }

  return (signal) => {
    if (leaving) return;
    leaving = true;
    leave(signal);
  };
}

module.exports = { graceful };
