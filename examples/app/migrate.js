'use strict';
// Applies migrations/*.sql in order, each once and whole, one process at a time.

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { Client } = require('pg');
const { settings } = require('./lib/environment');

const FOLDER = path.join(__dirname, 'migrations');
const LOCK = 7_366_201; // any number will do, as long as every release uses the same one

const LEDGER = `CREATE TABLE IF NOT EXISTS schema_migrations (
  version integer PRIMARY KEY,
  name text NOT NULL,
  checksum text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
)`;

/** [{version, name, sql, checksum}], ordered by version. */
function migrations() {
  const found = fs.readdirSync(FOLDER).map((name) => {
    const match = /^(\d{3,6})_[a-z0-9_]+\.sql$/.exec(name);
    if (!match) throw new Error(`migrations/${name}: expected a name such as 003_add_colour.sql`);
    const sql = fs.readFileSync(path.join(FOLDER, name), 'utf8');
    return { version: Number(match[1]), name, sql, checksum: crypto.createHash('sha256').update(sql).digest('hex') };
  });
  found.sort((a, b) => a.version - b.version);
  found.forEach(({ version, name }, index) => {
    if (index && found[index - 1].version === version) {
      throw new Error(`migrations/${name}: the number is taken by ${found[index - 1].name}`);
    }
  });
  return found;
}

async function apply(client, { version, name, sql, checksum }) {
  const started = Date.now();
  try {
    await client.query('BEGIN');
    await client.query("SET LOCAL lock_timeout = '5s'");
    await client.query(sql);
    await client.query('INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)', [
      version,
      name,
      checksum,
    ]);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {}); // the connection may be gone; its transaction is then, too
    throw new Error(`${name} failed and was undone: ${error.message}`);
  }
  console.log(`${name} applied in ${Date.now() - started} ms`);
}

async function migrate(client) {
  await client.query("SET lock_timeout = '10s'");
  await client.query('SELECT pg_advisory_lock($1)', [LOCK]).catch((error) => {
    throw new Error(`another migration has been running for 10 s: ${error.message}`);
  });
  await client.query(LEDGER);
  const { rows } = await client.query('SELECT version, checksum FROM schema_migrations');
  const applied = new Map(rows.map((row) => [row.version, row.checksum]));
  const wanted = migrations();
  const changed = wanted.find(({ version, checksum }) => applied.has(version) && applied.get(version) !== checksum);
  if (changed) throw new Error(`${changed.name} was changed after it had been applied; write a new migration instead`);
  for (const migration of wanted) {
    if (applied.has(migration.version)) console.log(`${migration.name} already applied`);
    else await apply(client, migration);
  }
}

async function main() {
  const client = new Client({
    connectionString: settings(process.env).databaseUrl,
    application_name: 'stock-list migrate',
    connectionTimeoutMillis: 10_000,
  });
  client.on('error', () => {}); // the query that is running reports the loss
  await client.connect().catch((error) => {
    throw new Error(`cannot connect to ${client.host}:${client.port}: ${error.message || error.code}`);
  });
  await migrate(client).finally(() => client.end());
}

main().catch((error) => {
  console.error(`migrate: ${error.message}`);
  process.exit(1);
});
