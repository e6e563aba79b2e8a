'use strict';
// Builds public/ from web/: every asset carries the hash of its content in its name, and the page refers to those names.

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const web = path.join(__dirname, 'web');
const output = path.join(__dirname, 'public');

fs.rmSync(output, { recursive: true, force: true });
fs.mkdirSync(path.join(output, 'assets'), { recursive: true });

let page = fs.readFileSync(path.join(web, 'index.html'), 'utf8');
for (const name of ['app.css', 'app.js']) {
  const content = fs.readFileSync(path.join(web, name));
  const hash = crypto.createHash('sha256').update(content).digest('hex').slice(0, 12);
  const hashed = name.replace('.', `.${hash}.`);
  fs.writeFileSync(path.join(output, 'assets', hashed), content);
  if (!page.includes(`/assets/${name}`)) throw new Error(`web/index.html does not refer to /assets/${name}`);
  page = page.replaceAll(`/assets/${name}`, `/assets/${hashed}`);
  console.log(`public/assets/${hashed}`);
}
fs.writeFileSync(path.join(output, 'index.html'), page);
console.log('public/index.html');
