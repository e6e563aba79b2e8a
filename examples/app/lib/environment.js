'use strict';
// Where settings come from: the environment file that ENV_FILE names, and the process environment.

const fs = require('node:fs');

/** KEY=value lines as an object. The value is the rest of the line, literally; blank lines and # lines are skipped. */
function parse(text) {
  const values = {};
  text.split(/\r?\n/).forEach((line, index) => {
    if (line.trim() === '' || line.trimStart().startsWith('#')) return;
    const match = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line);
    // The line itself stays out of the message: it may hold a secret.
    if (!match) throw new Error(`line ${index + 1} is not KEY=value`);
    values[match[1]] = match[2];
  });
  return values;
}

function read(path) {
  if (!path) return {};
  try {
    return parse(fs.readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(`environment file ${path}: ${error.message}`);
  }
}

/** The process environment wins, but for DATABASE_URL: a secret's place is the file, which `ps` and PM2 do not show. */
function merge(file, process) {
  const merged = { ...file, ...process };
  if (file.DATABASE_URL) merged.DATABASE_URL = file.DATABASE_URL;
  return merged;
}

/** What the server and the migrations need to know. Throws an Error that says what to set. */
function settings(process) {
  const values = merge(read(process.ENV_FILE), process);
  const port = Number(values.PORT || 3000);
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new Error(`PORT=${values.PORT} is not a port`);
  if (!values.DATABASE_URL) throw new Error('DATABASE_URL is not set; put it into the file that ENV_FILE names');
  return {
    host: values.HOST || '127.0.0.1',
    port,
    databaseUrl: values.DATABASE_URL,
    release: values.RELEASE_ID || 'development',
    slot: values.SLOT || 'none',
  };
}

module.exports = { parse, merge, settings };
