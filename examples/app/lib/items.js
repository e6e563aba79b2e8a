'use strict';
// Items in PostgreSQL.

const COLUMNS = 'id, name, quantity, updated_at';

/** The item store over a pg pool; a missing item is undefined. */
function items(pool) {
  const first = async (text, values) => (await pool.query(text, values)).rows[0];
  return {
    list: async () => (await pool.query(`SELECT ${COLUMNS} FROM items ORDER BY id LIMIT 1000`)).rows,
    read: (id) => first(`SELECT ${COLUMNS} FROM items WHERE id = $1`, [id]),
    create: ({ name, quantity }) =>
      first(`INSERT INTO items (name, quantity) VALUES ($1, $2) RETURNING ${COLUMNS}`, [name, quantity]),
    update: (id, { name, quantity }) =>
      first(`UPDATE items SET name = $2, quantity = $3, updated_at = now() WHERE id = $1 RETURNING ${COLUMNS}`, [
        id,
        name,
        quantity,
      ]),
    remove: (id) => first(`DELETE FROM items WHERE id = $1 RETURNING ${COLUMNS}`, [id]),
  };
}

module.exports = { items };
