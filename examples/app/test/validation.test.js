'use strict';
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { item, uploadName } = require('../lib/validation');

test('an item is a trimmed name and a whole quantity', () => {
  assert.deepEqual(item({ name: ' bolts ', quantity: 0 }), { name: 'bolts', quantity: 0 });
});

for (const body of [
  null,
  [],
  'bolts',
  {},
  { name: '', quantity: 1 },
  { name: '   ', quantity: 1 },
  { name: 'x'.repeat(101), quantity: 1 },
  { name: 'a\u0000b', quantity: 1 },
  { name: 'a', quantity: -1 },
  { name: 'a', quantity: 1.5 },
  { name: 'a', quantity: '1' },
  { name: 'a', quantity: 1e9 },
  { name: 'a', quantity: 1, id: 7 },
]) {
  test(`refuses ${JSON.stringify(body).slice(0, 40)}`, () => assert.throws(() => item(body), { status: 422 }));
}

test('an upload name is one visible path component', () => {
  assert.equal(uploadName('Photo_1.final.jpg'), 'Photo_1.final.jpg');
  for (const name of ['', '.', '..', '.x.part', 'a/b', 'a%2fb', 'a b', 'é', '-x', 'x'.repeat(101)]) {
    assert.throws(() => uploadName(name), { status: 400 }, name);
  }
});
