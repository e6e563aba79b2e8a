'use strict';
// How bodies are read and answers are written.

const { Invalid } = require('./validation');

const JSON_LIMIT = 64 * 1024;
// SQLSTATE classes and Node's own codes that mean: try again later, nothing is wrong with the request.
const UNAVAILABLE = /^(08...|53...|57P0.|55P03|E[A-Z]+|timeout)$/;

function sendJson(response, status, body, headers = {}) {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    ...headers,
  });
  response.end(text);
}

/** The body's chunks, at most `limit` bytes. Throws Invalid (413) and leaves the connection open for the answer. */
async function* body(request, limit) {
  const tooLarge = () => new Invalid(`the body is larger than ${limit} bytes`, 413);
  if (Number(request.headers['content-length'] || 0) > limit) throw tooLarge();
  let size = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    size += chunk.length;
    if (size > limit) throw tooLarge();
    yield chunk;
  }
}

/** The parsed JSON body, at most 64 KiB. Throws Invalid (400, 413). */
async function readJson(request) {
  const chunks = [];
  for await (const chunk of body(request, JSON_LIMIT)) chunks.push(chunk);
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new Invalid('the body is not JSON');
  }
}

/** What a client learns of an error: our own words for its mistakes, none of the database's words. */
function describe(error) {
  if (error instanceof Invalid) return { status: error.status, message: error.message };
  if (UNAVAILABLE.test(error.code || '') || /timeout|Connection terminated/i.test(error.message)) {
    return { status: 503, message: 'temporarily not available' };
  }
  return { status: 500, message: 'internal error' };
}

function sendError(response, error) {
  const { status, message } = describe(error);
  if (status >= 500) console.error(`error: ${error.code || error.name}: ${error.message}`);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  // A body that was not read to its end would be taken for the next request.
  const headers = status === 413 ? { Connection: 'close' } : {};
  sendJson(response, status, { error: message }, status === 503 ? { 'Retry-After': '1' } : headers);
}

module.exports = { body, sendJson, readJson, sendError, describe };
