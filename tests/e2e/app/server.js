// The smallest application that can be deployed: its health, WebSockets, and a way to be broken on purpose.
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const behaviour = require('./behaviour.json');

if (behaviour.tells) fs.writeFileSync(behaviour.tells, `${process.env.SLOT}\n${fs.readFileSync(process.env.ENV_FILE)}`);
if (behaviour.shouts === process.env.SLOT) {
  console.error(fs.readFileSync(process.env.ENV_FILE, 'utf8'));
  process.exit(1);
}
if (behaviour.crash) setTimeout(() => { throw new Error('planted crash'); }, 200);
let requests = 0;
const server = http.createServer((request, response) => {
  if (++requests === behaviour.dies) process.exit(1);
  const probe = request.url === '/api/health';
  const stranger = request.url === '/me' && request.headers.authorization !== `Bearer ${behaviour.token}`;
  const healthy = probe ? !behaviour.sick : !stranger && Math.random() >= (behaviour.fail || 0);
  const token = request.url === '/log-in' ? behaviour.token : undefined;
  const body = JSON.stringify({ release: process.env.RELEASE_ID, slot: process.env.SLOT, token });
  setTimeout(() => {
    response.writeHead(healthy ? 200 : 500, { 'content-type': 'application/json' });
    response.end(body);
  }, probe ? 0 : (behaviour.delay || 0) + (behaviour.jitter || 0) * Math.random() ** 4);
});
server.keepAliveTimeout = 65000;

// A WebSocket is told the release each second; whatever its client says is taken for a good-bye.
const sockets = new Set();
const frame = (opcode, payload) => Buffer.concat([Buffer.from([0x80 | opcode, payload.length]), payload]);
const GOING_AWAY = frame(8, Buffer.from([1001 >> 8, 1001 & 255]));
server.on('upgrade', (request, socket) => {
  const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = crypto.createHash('sha1').update(key).digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n');
  socket.write(`Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
  const tell = () => socket.write(frame(1, Buffer.from(process.env.RELEASE_ID)));
  const telling = setInterval(tell, 1000);
  tell();
  const leave = () => { clearInterval(telling); socket.end(GOING_AWAY); };
  sockets.add(leave);
  socket.on('data', leave).on('end', leave).on('error', () => socket.destroy());
  socket.on('close', () => { clearInterval(telling); sockets.delete(leave); });
});
server.listen(process.env.PORT, process.env.HOST);
process.on('SIGINT', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  for (const leave of sockets) leave();
});
