// The page's data, and the only way in which it makes elements: foreign text becomes text nodes, never markup.

const byId = (id) => document.getElementById(id);
const read = (id) => JSON.parse(byId(id).textContent);
const overview = read('overview');
let readDetails = null;

/// The details are read when the first cell is opened: they are far larger than the matrix.
const details = () => (readDetails ??= read('details'));
const say = (place) => details().texts[place];

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

const MARKS = { unexpected: 1, conflict: 2, changed: 4 };
const SYMBOLS = { pass: '✓', fail: '✗', error: '‼', skip: '–' };
const DEFAULT = 'default';

/// All cells, as objects, in the matrix's order.
const cells = overview.cells.map(([kernel, bug, profile, word, outcome, verdict, state, marks], index) => ({
  index, kernel, bug, profile, outcome, verdict, state,
  word: overview.words[word],
  unexpected: (marks & MARKS.unexpected) > 0,
  conflict: (marks & MARKS.conflict) > 0,
  changed: (marks & MARKS.changed) > 0,
}));
const kernelOf = (cell) => overview.kernels[cell.kernel];
const profileName = (cell) => overview.profiles[cell.profile].name;
const jobOf = (cell) => {
  const profile = profileName(cell);
  return overview.bugs[cell.bug] + (profile === DEFAULT ? '' : '@' + profile);
};
const hashOf = (cell) => '#' + encodeURI(kernelOf(cell).name + '/' + jobOf(cell));
const byHash = new Map(cells.map((cell) => [hashOf(cell), cell]));

/// A link to a file of the run's folder. Only a plain relative path becomes one.
function file(path, words) {
  const plain = path.split('/').every((part) => part !== '' && part !== '.' && part !== '..') && !/[\\:\u0000-\u001f]/.test(path);
  if (!plain || overview.folder === null) return make('code', {}, words ?? path);
  const href = (overview.folder + path).split('/').map(encodeURIComponent).join('/');
  return make('a', { href }, words ?? path);
}

/// Text with its line breaks as a block, or nothing.
const block = (lines) => lines.length > 0 && make('pre', { tabindex: '0' }, lines.join('\n'));

/// A section of an opened cell, or nothing if there is nothing to show.
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
