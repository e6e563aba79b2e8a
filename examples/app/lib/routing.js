'use strict';
// Which handler answers which request.

const ROUTES = [
  [/^\/api\/health$/, { GET: 'health' }],
  [/^\/api\/items$/, { GET: 'listItems', POST: 'createItem' }],
  [/^\/api\/items\/(?<id>[1-9]\d{0,8})$/, { GET: 'readItem', PUT: 'updateItem', DELETE: 'deleteItem' }],
  [/^\/uploads\/(?<name>[^/]+)$/, { GET: 'readUpload', PUT: 'writeUpload' }],
  [/^\/assets\/(?<file>[A-Za-z0-9_-]+\.[A-Za-z0-9._-]+)$/, { GET: 'asset' }],
  [/^\/$/, { GET: 'page' }],
];

/** {handler, params}, or {status: 404}, or {status: 405, allow}. HEAD goes where GET goes. */
function route(method, pathname) {
  for (const [pattern, methods] of ROUTES) {
    const match = pattern.exec(pathname);
    if (!match) continue;
    const handler = methods[method === 'HEAD' ? 'GET' : method];
    if (handler) return { handler, params: { ...match.groups } };
    return { status: 405, allow: Object.keys(methods).join(', ').replace('GET', 'GET, HEAD') };
  }
  return { status: 404 };
}

module.exports = { route };
