'use strict';
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { describe } = require('../lib/answers');
const { route } = require('../lib/routing');

test('requests find their handler', () => {
  assert.deepEqual(route('GET', '/'), { handler: 'page', params: {} });
  assert.deepEqual(route('HEAD', '/api/health'), { handler: 'health', params: {} });
  assert.deepEqual(route('DELETE', '/api/items/12'), { handler: 'deleteItem', params: { id: '12' } });
  assert.deepEqual(route('PUT', '/uploads/a.txt'), { handler: 'writeUpload', params: { name: 'a.txt' } });
  assert.deepEqual(route('GET', '/assets/app.0123456789ab.js'), {
    handler: 'asset',
    params: { file: 'app.0123456789ab.js' },
  });
});

test('a wrong method is told the right ones', () => {
  assert.deepEqual(route('DELETE', '/api/items'), { status: 405, allow: 'GET, HEAD, POST' });
});

for (const path of ['/api/items/0', '/api/items/x', '/api/items/9999999999', '/assets/../server.js', '/uploads/a/b']) {
  test(`${path} leads nowhere`, () => assert.deepEqual(route('GET', path), { status: 404 }));
}

test("the database's words stay on the server", () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED 10.0.0.5:5432'), { code: 'ECONNREFUSED' });
  assert.deepEqual(describe(refused), { status: 503, message: 'temporarily not available' });
  const shutdown = Object.assign(new Error('terminating connection'), { code: '57P01' });
  assert.equal(describe(shutdown).status, 503);
  const broken = Object.assign(new Error('relation "items" does not exist'), { code: '42P01' });
  assert.deepEqual(describe(broken), { status: 500, message: 'internal error' });
});
