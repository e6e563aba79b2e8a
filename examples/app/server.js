'use strict';
// The stock list: HTTP, WebSocket and the life of the process.

const http = require('node:http');
const path = require('node:path');
const { Pool } = require('pg');
const { readJson, sendError, sendJson } = require('./lib/answers');
const { sendAsset } = require('./lib/assets');
const { settings } = require('./lib/environment');
const { health } = require('./lib/health');
const { items } = require('./lib/items');
const { live } = require('./lib/live');
const { route } = require('./lib/routing');
const { graceful } = require('./lib/shutdown');
const uploads = require('./lib/uploads');
const validation = require('./lib/validation');

const UPLOADS = path.join(__dirname, 'uploads');
const PUBLIC = path.join(__dirname, 'public');

function handlers({ pool, clients, release, slot }) {
  const store = items(pool);
  const change = (action, item) => clients.broadcast({ type: 'item', action, item });
  const answer = (response, item, status = 200) =>
    item ? sendJson(response, status, item) : sendJson(response, 404, { error: 'no such item' });

  return {
    async health(request, response) {
      const report = await health({ pool, uploads: UPLOADS, release, slot });
      sendJson(response, report.status === 'ok' ? 200 : 503, report);
    },
    async listItems(request, response) {
      sendJson(response, 200, await store.list());
    },
    async createItem(request, response) {
      const item = await store.create(validation.item(await readJson(request)));
      change('created', item);
      answer(response, item, 201);
    },
    async readItem(request, response, { id }) {
      answer(response, await store.read(id));
    },
    async updateItem(request, response, { id }) {
      const item = await store.update(id, validation.item(await readJson(request)));
      if (item) change('updated', item);
      answer(response, item);
    },
    async deleteItem(request, response, { id }) {
      const item = await store.remove(id);
      if (item) change('deleted', item);
      answer(response, item);
    },
    async writeUpload(request, response, { name }) {
      const size = await uploads.store(UPLOADS, validation.uploadName(name), request);
      sendJson(response, 201, { name, size });
    },
    readUpload: (request, response, { name }) => uploads.send(UPLOADS, validation.uploadName(name), response),
    asset: (request, response, { file }) => sendAsset(PUBLIC, path.join('assets', file), request, response),
    page: (request, response) => sendAsset(PUBLIC, 'index.html', request, response),
  };
}

async function dispatch(table, request, response) {
  try {
    const { handler, params, status, allow } = route(request.method, request.url.split('?', 1)[0]);
    if (handler) await table[handler](request, response, params);
    else if (status === 405) sendJson(response, 405, { error: 'method not allowed' }, { Allow: allow });
    else sendJson(response, 404, { error: 'not found' });
  } catch (error) {
    sendError(response, error);
  }
}

function main() {
  const { host, port, databaseUrl, release, slot } = settings(process.env);
  const pool = new Pool({
    connectionString: databaseUrl,
    application_name: `stock-list ${slot}`,
    max: 10,
    connectionTimeoutMillis: 3000,
    query_timeout: 10_000,
  });
  // Without a listener the loss of an idle connection ends the process; the pool opens a new one by itself.
  pool.on('error', (error) => console.error(`database connection lost: ${error.message}`));
  const clients = live({ release, slot });
  const table = handlers({ pool, clients, release, slot });
  const server = http.createServer((request, response) => dispatch(table, request, response));
  // Longer than a proxy keeps idle connections, or requests meet a connection that is just being closed.
  server.keepAliveTimeout = 65_000;
  server.headersTimeout = 70_000;
  const stop = graceful({ server, live: clients, pool });
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  server.on('error', (error) => fail(`cannot listen on ${host}:${port}: ${error.message}`));
  server.listen(port, host, () => {
    console.log(`release ${release} in slot ${slot} listens on http://${host}:${server.address().port}`);
    if (process.send) process.send('ready');
  });
}

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}

try {
  main();
} catch (error) {
  fail(error.message);
}
