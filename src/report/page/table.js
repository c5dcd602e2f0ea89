// The matrix: sorted, filtered, and made as far as it is looked at.

/// The rows of each kernel: one for each profile.
const groups = (() => {
  const known = new Map();
  for (const cell of cells) {
    if (!known.has(cell.kernel)) known.set(cell.kernel, { kernel: cell.kernel, rows: new Map() });
    const { rows } = known.get(cell.kernel);
    if (!rows.has(cell.profile)) {
      rows.set(cell.profile, { kernel: cell.kernel, profile: cell.profile, cells: overview.bugs.map(() => null) });
    }
    rows.get(cell.profile).cells[cell.bug] = cell;
  }
  return [...known.values()].map((group) => ({ ...group, rows: [...group.rows.values()] }));
})();

for (const cell of cells) {
  const { name, release } = kernelOf(cell);
  const marks = Object.keys(MARKS).filter((mark) => cell[mark]).join(' ');
  const profile = profileName(cell);
  cell.text = [name, release, overview.bugs[cell.bug], profile, cell.word, cell.verdict, cell.state, marks]
    .join(' ').toLowerCase();
}

/// How much a cell asks to be looked at.
const weight = (cell) => cell === null ? -1
  : (cell.conflict ? 100 : 0) + (cell.unexpected ? 50 : 0) + (cell.changed ? 20 : 0)
    + { fail: 8, error: 6, skip: 0, pass: 2 }[cell.outcome];

const sorting = { column: 'matrix', down: false };
const filter = { words: [], outcomes: new Set(), marks: new Set(), state: '' };
let shown = { rows: [], cells: 0 };

function matches(cell) {
  return filter.words.every((word) => cell.text.includes(word))
    && (filter.outcomes.size === 0 || filter.outcomes.has(cell.outcome))
    && [...filter.marks].every((mark) => cell[mark])
    && (filter.state === '' || (cell.state ?? 'open') === filter.state);
}

const sortKeys = {
  matrix: (group) => group.kernel,
  kernel: (group) => overview.kernels[group.kernel].name,
  release: (group) => overview.kernels[group.kernel].release ?? '',
  seconds: (group) => overview.kernels[group.kernel].seconds,
};

function keyOf(column) {
  if (typeof column !== 'number') return sortKeys[column];
  return (group) => Math.max(...group.rows.map((row) => weight(row.cells[column])));
}

function select() {
  const key = keyOf(sorting.column);
  const sign = sorting.down ? -1 : 1;
  let count = 0;
  const kept = [];
  for (const group of groups) {
    const rows = group.rows.filter((row) => {
      const found = row.cells.filter((cell) => cell !== null && (cell.match = matches(cell))).length;
      count += found;
      return found > 0;
    });
    if (rows.length > 0) kept.push({ key: key(group), rows });
  }
  const compare = (a, b) => typeof a.key === 'string' ? order(a.key, b.key) : a.key - b.key;
  kept.sort((a, b) => sign * compare(a, b));
  shown = { rows: kept.flatMap((group) => group.rows), cells: count };
}

function cellLink(cell) {
  const marks = Object.keys(MARKS).filter((mark) => cell[mark]);
  const signs = (cell.conflict ? ' ⚡' : '') + (cell.changed ? ' Δ' : '');
  const unsaid = marks.filter((mark) => !cell.word.includes(mark));
  return make('a', { class: ['outcome', cell.outcome, ...marks, cell.match ? '' : 'other'].join(' ').trim(), href: hashOf(cell) },
    make('span', { 'aria-hidden': 'true' }, SYMBOLS[cell.outcome] + ' '), cell.word,
    signs && make('span', { 'aria-hidden': 'true' }, signs),
    unsaid.length > 0 && make('span', { class: 'unseen' }, ', ' + unsaid.join(', ')));
}

function tableRow(row, index, before) {
  const { name, release, seconds, cached, control } = overview.kernels[row.kernel];
  const profile = overview.profiles[row.profile].name;
  const own = profile === DEFAULT;
  const first = before === undefined || before.kernel !== row.kernel;
  const label = own ? name : '@' + profile;
  const head = make('th', { scope: 'row', role: 'rowheader', class: own ? '' : 'profile', title: own ? name : name + ' @' + profile },
    !own && make('span', { class: first ? '' : 'unseen' }, name + ' '), label, control && own && make('small', {}, ' control'));
  const side = (text, title, name) => make('td', { role: 'cell', title, class: name, 'data-label': name }, text);
  return make('tr', { role: 'row', 'aria-rowindex': index + 2 }, head,
    side(first ? release ?? '–' : '', release, 'release'),
    row.cells.map((cell, bug) => make('td', { role: 'cell', 'data-label': overview.bugs[bug] },
      cell === null ? '' : cellLink(cell))),
    side(!first ? '' : cached ? 'cached' : seconds > 0 ? seconds.toFixed(1) : '–', null, 'seconds'));
}

/// The link of a cell, made if it is not yet. None if a filter hides it.
function linkOf(cell) {
  const at = shown.rows.findIndex((row) => row.cells.includes(cell));
  if (at < 0) return null;
  return lazy.row(at).querySelectorAll('td')[cell.bug + 1].querySelector('a');
}

/// The cells in the order of the table.
const inOrder = () => shown.rows.flatMap((row) => row.cells.filter((cell) => cell !== null && cell.match));

/// Moves between cells with the arrow keys.
function arrows(event) {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  const link = event.target.closest('a.outcome');
  if (!step || !link || event.ctrlKey || event.metaKey || event.altKey) return;
  const cell = byHash.get(link.getAttribute('href'));
  let row = shown.rows.findIndex((row) => row.cells.includes(cell));
  let column = cell.bug;
  do {
    row += step[0];
    column += step[1];
  } while (shown.rows[row] && column >= 0 && column < overview.bugs.length && shown.rows[row].cells[column] === null);
  const next = shown.rows[row]?.cells[column];
  if (!next) return;
  event.preventDefault();
  linkOf(next).focus();
}
