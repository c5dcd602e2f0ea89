// The only way in which pages make elements: foreign text becomes text nodes, never markup.

const byId = (id) => document.getElementById(id);
const SYMBOLS = { pass: '✓', fail: '✗', error: '‼', skip: '–' };

/// Sorts texts as people do: numbers in them count as numbers.
const order = new Intl.Collator('en', { numeric: true }).compare;

/// An element with attributes, handlers (`onclick`) and children. Strings become text.
function make(tag, attributes, ...children) {
  const svg = ['svg', 'g', 'path', 'line', 'text', 'title', 'rect'].includes(tag);
  const made = svg ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? '' : String(value));
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/// Text with its line breaks as a block, or nothing.
const block = (lines) => lines.length > 0 && make('pre', { tabindex: '0' }, lines.join('\n'));

/// Content behind a summary, made when it is opened.
function later(words, content) {
  return make('details', { ontoggle: (event) => {
    if (event.target.open && event.target.children.length === 1) event.target.append(content());
  } }, make('summary', {}, words));
}

/// A section with a title, or nothing if there is nothing to show.
function section(title, ...content) {
  const shown = content.flat(Infinity).filter(Boolean);
  return shown.length > 0 && make('section', {}, make('h3', {}, title), shown);
}

/// A table with a heading row. Rows are lists of contents; the first of each is the row's heading. Narrow screens show rows
/// as blocks, so the roles are said here.
function grid(label, heads, rows) {
  const row = (contents) => make('tr', { role: 'row' }, contents.map((content, at) =>
    make(at === 0 ? 'th' : 'td', at === 0 ? { scope: 'row', role: 'rowheader' } : { role: 'cell', 'data-label': heads[at] }, content)));
  const head = make('thead', { role: 'rowgroup' }, make('tr', { role: 'row' }, heads.map((text) => make('th', { scope: 'col', role: 'columnheader' }, text))));
  return make('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': label },
    make('table', { role: 'table', class: 'grid' }, head, make('tbody', { role: 'rowgroup' }, rows.map(row))));
}
