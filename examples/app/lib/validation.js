'use strict';
// What a client may send: items, and the names of uploads.

class Invalid extends Error {
  constructor(message, status = 400) {
    super(message);
    this.status = status;
  }
}

const KEYS = ['name', 'quantity'];
const MAX_QUANTITY = 1_000_000;

/** {name, quantity} out of a parsed JSON body. Throws Invalid (422). */
function item(body) {
  if (body === null || typeof body !== 'object' || Array.isArray(body)) throw new Invalid('expected a JSON object', 422);
  const unknown = Object.keys(body).filter((key) => !KEYS.includes(key));
  if (unknown.length) throw new Invalid(`unknown key: ${unknown[0].slice(0, 50)}`, 422);
  const name = typeof body.name === 'string' ? body.name.trim() : '';
  if (name.length < 1 || name.length > 100 || /[\x00-\x1f\x7f]/.test(name)) {
    throw new Invalid('name: expected 1 to 100 printable characters', 422);
  }
  const { quantity } = body;
  if (!Number.isInteger(quantity) || quantity < 0 || quantity > MAX_QUANTITY) {
    throw new Invalid(`quantity: expected a whole number from 0 to ${MAX_QUANTITY}`, 422);
  }
  return { name, quantity };
}

/** An upload's name: one path component that cannot be hidden, and so can never be a temporary file of ours. */
function uploadName(name) {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name)) {
    throw new Invalid("name: expected letters, digits, '.', '_' and '-', at most 100, not starting with '.'");
  }
  return name;
}

module.exports = { Invalid, item, uploadName };
