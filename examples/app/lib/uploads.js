'use strict';
// Uploaded files in ./uploads, which a deploy links into the directory that outlives a release.

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { pipeline } = require('node:stream/promises');
const { body, sendJson } = require('./answers');

const LIMIT = 10 * 1024 * 1024;
const TYPES = { '.gif': 'image/gif', '.jpg': 'image/jpeg', '.png': 'image/png', '.txt': 'text/plain; charset=utf-8' };

async function syncDirectory(directory) {
  const handle = await fs.promises.open(directory, 'r');
  await handle.sync().finally(() => handle.close());
}

/** Store the body whole or not at all; returns its size in bytes. */
async function store(directory, name, request) {
  const temporary = path.join(directory, `.${name}.${crypto.randomUUID()}.part`);
  const handle = await fs.promises.open(temporary, 'wx', 0o640);
  try {
    let size = 0;
    try {
      for await (const chunk of body(request, LIMIT)) {
        await handle.writeFile(chunk);
        size += chunk.length;
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.promises.rename(temporary, path.join(directory, name));
    await syncDirectory(directory);
    return size;
  } catch (error) {
    await fs.promises.rm(temporary, { force: true });
    throw error;
  }
}

async function send(directory, name, response) {
  let handle;
  try {
    handle = await fs.promises.open(path.join(directory, name), 'r');
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    sendJson(response, 404, { error: 'no such file' });
    return;
  }
  try {
    const { size } = await handle.stat();
    response.writeHead(200, {
      'Content-Type': TYPES[path.extname(name).toLowerCase()] || 'application/octet-stream',
      'Content-Length': size,
      'X-Content-Type-Options': 'nosniff',
      'Content-Security-Policy': 'sandbox',
      'Cache-Control': 'no-cache',
    });
    await pipeline(handle.createReadStream({ autoClose: false, end: Math.max(size - 1, 0) }), response);
  } finally {
    await handle.close();
  }
}

/** Whether files can be stored right now. */
async function writable(directory) {
  try {
    await fs.promises.access(directory, fs.constants.W_OK | fs.constants.X_OK);
    return (await fs.promises.stat(directory)).isDirectory();
  } catch {
    return false;
  }
}

module.exports = { store, send, writable };
