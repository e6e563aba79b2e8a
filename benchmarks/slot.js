// A slot that says when it answered first and last since it was asked: on CLOCK_MONOTONIC, which the operator shares.
const crypto = require('crypto');
const http = require('http');
const [slot, port] = process.argv.slice(2);

const answer = JSON.stringify({ release: slot, slot });
let first = null;
let last = null;
const server = http.createServer((request, response) => {
  response.setHeader('content-type', 'application/json');
  if (request.url === '/seen') {
    response.end(JSON.stringify({ first, last }));
    first = last = null;
    return;
  }
  last = Number(process.hrtime.bigint()) / 1e9;
  first ??= last;
  response.end(answer);
});
server.keepAliveTimeout = 65000;

// Says again what its client says: one short, masked text frame at a time.
server.on('upgrade', (request, socket) => {
  const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = crypto.createHash('sha1').update(key).digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n');
  socket.write(`Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
  socket.on('error', () => socket.destroy()).on('end', () => socket.end());
  socket.on('data', (frame) => {
    const body = frame.subarray(6, 6 + (frame[1] & 127)).map((byte, at) => byte ^ frame[2 + (at % 4)]);
    socket.write(Buffer.concat([Buffer.from([frame[0], body.length]), body]));
    if ((frame[0] & 15) === 8) socket.end();
  });
});
server.listen(port);
