'use strict';
// What this process knows of its own health.

const { writable } = require('./uploads');

const LIMIT_MS = 2000;

async function database(pool) {
  const started = process.hrtime.bigint();
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('timeout')), LIMIT_MS);
  });
  const query = pool.query({ text: 'SELECT 1', query_timeout: LIMIT_MS });
  query.catch(() => {}); // its failure may come after the limit has answered
  const ok = await Promise.race([query, late]).then(
    () => true,
    () => false,
  );
  clearTimeout(timer);
  return { ok, latency_ms: Math.round(Number(process.hrtime.bigint() - started) / 1e5) / 10 };
}

/** {status, release, slot, checks}; the database gets 2 s to answer. */
async function health({ pool, uploads, release, slot }) {
  const [db, files] = await Promise.all([database(pool), writable(uploads)]);
  const ok = db.ok && files;
  return { status: ok ? 'ok' : 'degraded', release, slot, checks: { database: db, uploads: { ok: files } } };
}

module.exports = { health };
