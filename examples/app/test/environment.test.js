'use strict';
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { merge, parse, settings } = require('../lib/environment');

test('a value is the rest of its line, literally', () => {
  const text = '# secrets\n\nA=1\nURL=postgres://u:p=w@h/db?x="y"\r\nEMPTY=\n';
  assert.deepEqual(parse(text), { A: '1', URL: 'postgres://u:p=w@h/db?x="y"', EMPTY: '' });
});

test('a broken line is named by its number and never repeated', () => {
  assert.throws(() => parse('A=1\nhunter2'), (error) => /line 2/.test(error.message) && !/hunter2/.test(error.message));
});

test('the process environment wins, except for the database address', () => {
  const merged = merge({ PORT: '1', DATABASE_URL: 'file' }, { PORT: '2', DATABASE_URL: 'process' });
  assert.deepEqual(merged, { PORT: '2', DATABASE_URL: 'file' });
});

test('settings come from the file that ENV_FILE names', (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'stock-list-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'env');
  fs.writeFileSync(file, 'DATABASE_URL=postgres://h/db\nPORT=3001\n', { mode: 0o600 });
  const found = settings({ ENV_FILE: file, RELEASE_ID: '1.0.0-abc', SLOT: 'blue', HOST: '127.0.0.2' });
  assert.deepEqual(found, {
    host: '127.0.0.2',
    port: 3001,
    databaseUrl: 'postgres://h/db',
    release: '1.0.0-abc',
    slot: 'blue',
  });
});

test('what is missing is said', () => {
  assert.throws(() => settings({}), /DATABASE_URL is not set/);
  assert.throws(() => settings({ ENV_FILE: '/nonexistent' }), /environment file \/nonexistent/);
  assert.throws(() => settings({ DATABASE_URL: 'x', PORT: 'web' }), /PORT=web/);
});
