// The smallest application that can be deployed: its health, and a way to be broken on purpose.
const http = require('http');
const behaviour = require('./behaviour.json');

if (behaviour.crash) setTimeout(() => { throw new Error('planted crash'); }, 200);
const server = http.createServer((request, response) => {
  const healthy = !(behaviour.sick && request.url === '/api/health');
  const body = JSON.stringify({ release: process.env.RELEASE_ID, slot: process.env.SLOT });
  setTimeout(() => {
    response.writeHead(healthy ? 200 : 500, { 'content-type': 'application/json' });
    response.end(body);
  }, behaviour.delay || 0);
});
server.keepAliveTimeout = 65000;
server.listen(process.env.PORT, process.env.HOST);
process.on('SIGINT', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
