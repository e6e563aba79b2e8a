'use strict';

const byId = (id) => document.getElementById(id);
const items = new Map();

function show() {
  const rows = [...items.values()].sort((a, b) => a.id - b.id).map((item) => {
    const row = document.createElement('tr');
    const cells = [item.name, item.quantity, new Date(item.updated_at).toLocaleString(), ''].map((text) => {
      const cell = document.createElement('td');
      cell.textContent = text;
      row.append(cell);
      return cell;
    });
    cells[1].className = 'number';
    cells[3].append(
      button('−', `One ${item.name} less`, () => save(item, item.quantity - 1), item.quantity === 0),
      ' ',
      button('+', `One ${item.name} more`, () => save(item, item.quantity + 1)),
      ' ',
      button('×', `Remove ${item.name}`, () => call('DELETE', `/api/items/${item.id}`)),
    );
    return row;
  });
  byId('items').replaceChildren(...rows);
  byId('empty').hidden = rows.length > 0;
}

function button(text, label, action, disabled = false) {
  const element = document.createElement('button');
  Object.assign(element, { type: 'button', textContent: text, ariaLabel: label, onclick: action, disabled });
  return element;
}

async function call(method, path, body) {
  byId('problem').hidden = true;
  try {
    const response = await fetch(path, {
      method,
      headers: body && { 'Content-Type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    const answer = await response.json();
    if (response.ok) return answer;
    throw new Error(answer.error);
  } catch (error) {
    byId('problem').textContent = `That did not work: ${error.message}`;
    byId('problem').hidden = false;
    return undefined;
  }
}

const save = (item, quantity) => call('PUT', `/api/items/${item.id}`, { name: item.name, quantity });

async function refresh() {
  const list = await call('GET', '/api/items');
  if (!list) return;
  items.clear();
  for (const item of list) items.set(item.id, item);
  show();
}

function change({ action, item }) {
  if (action === 'deleted') items.delete(item.id);
  else items.set(item.id, item);
  show();
}

function online(yes) {
  byId('state').dataset.online = yes;
  byId('state').textContent = yes ? 'live' : 'reconnecting…';
}

function connect() {
  const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`);
  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.type === 'item') change(message);
    if (message.type !== 'hello') return;
    byId('release').textContent = message.release;
    byId('slot').textContent = message.slot;
    online(true);
    refresh();
  };
  socket.onclose = () => {
    online(false);
    setTimeout(connect, 500 + Math.random() * 1000);
  };
}

byId('add').onsubmit = async (event) => {
  event.preventDefault();
  const form = event.target;
  const body = { name: form.elements.name.value, quantity: Number(form.elements.quantity.value) };
  if (await call('POST', '/api/items', body)) form.reset();
};

connect();
