// The page: its filters, its ways from the matrix to a cell and back, and its keys.

function notices() {
  byId('notices').replaceChildren(...overview.notices.map(([kind, says]) =>
    make('p', { class: 'notice' }, make('b', {}, kind.toUpperCase()), ' ', says)));
  if (overview.changes === null) return;
  const { since, changes } = overview.changes;
  const line = (change) => {
    const hash = '#' + encodeURI(change.kernel + '/' + change.job);
    const name = change.kernel + (change.job === null ? '' : ' ' + change.job);
    return make('li', {}, byHash.has(hash) ? make('a', { href: hash }, name) : make('b', {}, name), ' ', change.says);
  };
  byId('changes').replaceChildren(make('section', { 'aria-labelledby': 'changes-title' },
    make('h2', { id: 'changes-title' }, `What changed since ${since}`),
    changes.length === 0 ? make('p', {}, 'Nothing.') : make('ul', {}, changes.map(line))));
}

const table = make('table', { role: 'table', class: 'matrix', 'aria-label': 'Kernels and bugs', onkeydown: arrows });
const lazy = lazyRows(table);

function tableHead() {
  const column = (words, key, name) => {
    const head = make('th', { scope: 'col', role: 'columnheader', class: name }, make('button', { type: 'button', onclick: () => sort(key) }, words));
    head.dataset.key = key;
    return head;
  };
  const heads = [column('kernel', 'kernel', 'kernel'), column('release', 'release', 'release'),
    overview.bugs.map((bug, at) => column(bug, at, 'bug')), column('seconds', 'seconds', 'seconds')];
  table.append(make('thead', { role: 'rowgroup' }, make('tr', { role: 'row', 'aria-rowindex': 1 }, heads)));
  table.style.minWidth = `${26 + overview.bugs.length * 11}rem`;
  byId('table').append(table);
}

/// Sorts by a column. Bugs start with what asks to be looked at.
function sort(key) {
  const again = sorting.column === key;
  sorting.down = again ? !sorting.down : typeof key === 'number' || key === 'seconds';
  sorting.column = key;
  update();
}

function update() {
  select();
  for (const head of table.tHead.rows[0].cells) {
    const own = head.dataset.key === String(sorting.column);
    head.setAttribute('aria-sort', own ? (sorting.down ? 'descending' : 'ascending') : 'none');
  }
  lazy.show(shown.rows, tableRow, overview.bugs.length + 3);
  const rows = shown.rows.length === 1 ? '1 row' : shown.rows.length + ' rows';
  byId('count').textContent = shown.cells === cells.length ? `${cells.length} cells in ${rows}`
    : `${shown.cells} of ${cells.length} cells match, in ${rows}`;
}

function filters() {
  const toggle = (words, set, value, count) => count > 0 && make('button', { type: 'button', 'aria-pressed': 'false', onclick: (event) => {
    const on = !set.has(value);
    if (on) set.add(value); else set.delete(value);
    event.currentTarget.setAttribute('aria-pressed', String(on));
    update();
  } }, `${words} ${count.toLocaleString('en')}`);
  const count = (is) => cells.filter(is).length;
  const states = [...new Set(cells.map((cell) => cell.state ?? 'open'))].sort();
  byId('filters').append(
    make('label', {}, 'Text ', make('input', { id: 'words', type: 'search', placeholder: 'kernel, release, bug, profile …', autocomplete: 'off', oninput: (event) => {
      filter.words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      update();
    } })),
    make('label', {}, 'State ', make('select', { id: 'state', onchange: (event) => {
      filter.state = event.target.value;
      update();
    } }, make('option', { value: '' }, 'any'), states.map((state) => make('option', { value: state }, state)))),
    make('span', { role: 'group', 'aria-label': 'Outcomes' }, Object.keys(SYMBOLS).map((outcome) =>
      toggle(`${SYMBOLS[outcome]} ${outcome}`, filter.outcomes, outcome, count((cell) => cell.outcome === outcome)))),
    make('span', { role: 'group', 'aria-label': 'Marks' }, Object.keys(MARKS).map((mark) =>
      toggle({ unexpected: '▢ ', conflict: '⚡ ', changed: 'Δ ' }[mark] + mark, filter.marks, mark, count((cell) => cell[mark])))));
}

let opened = null;
let scrolled = [0, 0];

/// Shows what the address names: a cell, or the matrix.
function route() {
  const cell = byHash.get(location.hash) ?? byHash.get(encodeURI(decodeURI(location.hash)));
  if (!cell && location.hash.length > 1) return;
  const before = opened;
  if (cell && before === null) scrolled = [scrollY, byId('table').scrollTop];
  opened = cell ?? null;
  byId('matrix').hidden = opened !== null;
  byId('cell').hidden = opened === null;
  if (opened !== null) {
    showCell(opened);
    scrollTo(0, 0);
    byId('cell-title').focus({ preventScroll: true });
    document.title = `${kernelOf(opened).name} ${jobOf(opened)}: ${opened.word}`;
  } else if (before !== null) {
    byId('cell').replaceChildren();
    byId('table').scrollTop = scrolled[1];
    scrollTo(0, scrolled[0]);
    const link = linkOf(before);
    (link ?? byId('matrix-title')).focus();
    document.title = pageTitle;
  }
}

const pageTitle = document.title;

addEventListener('hashchange', route);
document.querySelector('.to-content').addEventListener('click', (event) => {
  // The address stays that of the opened cell.
  event.preventDefault();
  byId(opened === null ? 'matrix-title' : 'cell-title').focus();
});
addEventListener('beforeprint', lazy.fillAll);
addEventListener('keydown', (event) => {
  const typing = event.target.closest('input, select, textarea');
  if (event.key === 'Escape' && opened !== null && !typing) location.hash = '';
  if (event.key === '/' && opened === null && !typing) {
    event.preventDefault();
    byId('words').focus();
  }
});

notices();
tableHead();
filters();
update();
route();
performance.mark('interactive');
