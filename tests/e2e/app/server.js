// The smallest application that can be deployed: its health, and a way to be broken on purpose.
const http = require('http');
const behaviour = require('./behaviour.json');

if (behaviour.crash) setTimeout(() => { throw new Error('planted crash'); }, 200);
let requests = 0;
const server = http.createServer((request, response) => {
  if (++requests === behaviour.dies) process.exit(1);
  const probe = request.url === '/api/health';
  const healthy = probe ? !behaviour.sick : Math.random() >= (behaviour.fail || 0);
  const body = JSON.stringify({ release: process.env.RELEASE_ID, slot: process.env.SLOT });
  setTimeout(() => {
    response.writeHead(healthy ? 200 : 500, { 'content-type': 'application/json' });
    response.end(body);
  }, probe ? 0 : behaviour.delay || 0);
});
server.keepAliveTimeout = 65000;
server.listen(process.env.PORT, process.env.HOST);
process.on('SIGINT', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
