'use strict';
// The whole server, with a database that is not there.
const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const WebSocket = require('ws');

const APP = path.join(__dirname, '..');
const RUNNING = ['server.js', 'build.js', 'package.json', 'lib', 'web'];
let folder;
let server;
let port;

// A copy, so that its uploads and assets are its own.
before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'stock-list-'));
  for (const name of RUNNING) fs.cpSync(path.join(APP, name), path.join(folder, name), { recursive: true });
  fs.symlinkSync(path.join(APP, 'node_modules'), path.join(folder, 'node_modules'));
  fs.mkdirSync(path.join(folder, 'shared'));
  fs.symlinkSync('shared', path.join(folder, 'uploads'));
  assert.equal(spawnSync(process.execPath, ['build.js'], { cwd: folder }).status, 0);
  server = spawn(process.execPath, ['server.js'], {
    cwd: folder,
    env: { PATH: process.env.PATH, PORT: '0', DATABASE_URL: 'postgres://u:hunter2@127.0.0.1:1/x', RELEASE_ID: 'r1', SLOT: 'blue' },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const [line] = await Promise.all([
    new Promise((resolve) => server.stdout.once('data', (data) => resolve(String(data)))),
    new Promise((resolve) => server.once('message', resolve)).then((message) => assert.equal(message, 'ready')),
  ]);
  port = Number(/:(\d+)\s*$/.exec(line)[1]);
});

after(() => {
  server.kill('SIGKILL');
  fs.rmSync(folder, { recursive: true, force: true });
});

function request(method, url, { body, agent = false, headers } = {}) {
  return new Promise((resolve, reject) => {
    const sent = http.request({ host: '127.0.0.1', port, method, path: url, agent, headers }, (answer) => {
      const chunks = [];
      answer.on('data', (chunk) => chunks.push(chunk));
      answer.on('end', () =>
        resolve({ status: answer.statusCode, headers: answer.headers, text: Buffer.concat(chunks).toString() }),
      );
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const next = (emitter, event) => new Promise((resolve) => emitter.once(event, (...values) => resolve(values)));

test('without a database the server lives, and says that it is degraded', async () => {
  const answer = await request('GET', '/api/health');
  assert.equal(answer.status, 503);
  const report = JSON.parse(answer.text);
  assert.equal(report.status, 'degraded');
  assert.equal(report.release, 'r1');
  assert.equal(report.slot, 'blue');
  assert.equal(report.checks.database.ok, false);
  assert.deepEqual(report.checks.uploads, { ok: true });
  const items = await request('GET', '/api/items');
  assert.equal(items.status, 503);
  assert.doesNotMatch(items.text, /hunter2|127\.0\.0\.1/);
});

test('an upload comes back byte for byte, and no temporary file stays', async () => {
  const body = Buffer.alloc(300_000, 'stock');
  assert.equal((await request('PUT', '/uploads/a.txt', { body })).status, 201);
  const answer = await request('GET', '/uploads/a.txt');
  assert.equal(answer.text, body.toString());
  assert.deepEqual(fs.readdirSync(path.join(folder, 'shared')), ['a.txt']);
  assert.equal((await request('PUT', '/uploads/empty', { body: '' })).status, 201);
  assert.equal((await request('GET', '/uploads/empty')).text, '');
  assert.equal((await request('GET', '/uploads/missing')).status, 404);
  assert.equal((await request('GET', '/uploads/..%2fserver.js')).status, 400);
});

test('a body that is too large or broken is refused', async () => {
  assert.equal((await request('PUT', '/uploads/big', { headers: { 'Content-Length': 11_000_000 } })).status, 413);
  assert.equal((await request('POST', '/api/items', { body: '{"name":' })).status, 400);
  assert.equal((await request('POST', '/api/items', { body: '{}' })).status, 422);
});

test('the page is asked for each time and its assets never again', async () => {
  const page = await request('GET', '/');
  assert.equal(page.headers['cache-control'], 'no-cache');
  const [asset] = /\/assets\/app\.[0-9a-f]{12}\.js/.exec(page.text);
  assert.match((await request('GET', asset)).headers['cache-control'], /immutable/);
  const again = await request('GET', '/', { headers: { 'If-None-Match': page.headers.etag } });
  assert.equal(again.status, 304);
});

test('a WebSocket is greeted and echoed', async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
  const [hello] = await next(socket, 'message');
  assert.deepEqual(JSON.parse(hello), { type: 'hello', release: 'r1', slot: 'blue' });
  socket.send('{"type":"echo","n":1}');
  assert.deepEqual(JSON.parse((await next(socket, 'message'))[0]), { type: 'echo', n: 1 });
  socket.send('nonsense');
  assert.equal(JSON.parse((await next(socket, 'message'))[0]).type, 'error');
  socket.terminate();
});

test('a stop answers what is in flight and what still comes on open connections', async () => {
  const agent = new http.Agent({ keepAlive: true });
  await request('GET', '/', { agent });
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
  await next(socket, 'message');
  const slow = http.request({ host: '127.0.0.1', port, method: 'PUT', path: '/uploads/slow', agent: false });
  const answered = next(slow, 'response');
  slow.write('first ');
  await request('GET', '/', { agent });

  const stopping = next(server.stdout, 'data');
  const exited = next(server, 'exit');
  const closed = next(socket, 'close');
  server.kill('SIGTERM');
  await stopping;
  assert.equal((await closed)[0], 1012);
  const kept = await request('GET', '/', { agent });
  assert.equal(kept.status, 200);
  assert.equal(kept.headers.connection, 'close');
  await assert.rejects(request('GET', '/'), { code: 'ECONNREFUSED' });
  slow.end('second');
  const [answer] = await answered;
  assert.equal(answer.statusCode, 201);
  assert.equal(answer.headers.connection, 'close');
  answer.resume();
  assert.deepEqual(await exited, [0, null]);
  assert.equal(fs.readFileSync(path.join(folder, 'shared', 'slow'), 'utf8'), 'first second');
});
