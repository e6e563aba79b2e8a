'use strict';
// The built page and its assets. A name with a hash never changes its content; the page must be asked for each time.

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { sendJson } = require('./answers');

const TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
};
const HASHED = /\.[0-9a-f]{12}\.(js|css)$/;

/** Send a file below `root`, or 404; the ETag comes from the content, because a release's mtimes say nothing. */
async function sendAsset(root, name, request, response) {
  let body;
  try {
    body = await fs.promises.readFile(path.join(root, name));
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EISDIR') throw error;
    sendJson(response, 404, { error: 'no such file' });
    return;
  }
  const etag = `"${crypto.createHash('sha256').update(body).digest('hex').slice(0, 32)}"`;
  const headers = {
    ETag: etag,
    'Cache-Control': HASHED.test(name) ? 'public, max-age=31536000, immutable' : 'no-cache',
    'X-Content-Type-Options': 'nosniff',
  };
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304, headers).end();
    return;
  }
  headers['Content-Type'] = TYPES[path.extname(name)] || 'application/octet-stream';
  response.writeHead(200, { ...headers, 'Content-Length': body.length }).end(body);
}

module.exports = { sendAsset };
