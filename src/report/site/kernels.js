// Nights × kernels: a row for each cell, and for each night a place. Nights in a row that say the same share one.

/// The widths of the columns, in rem.
const WIDTHS = { kernel: 15, job: 15, night: 1.75 };

/// The columns before the nights.
const NAMES = 2;

const filter = { words: [], job: '', outcomes: new Set(), marks: new Set(), sort: 'kernel' };
const kernels = { matrix: null, shown: 30, columns: [], all: [], rows: [], lazy: null, table: null };

/// The newest nights of a matrix. Those that judged only a part of it don't count, so that they push no kernel out of sight.
function newestRuns(runs, count) {
  let [from, whole] = [runs.length, 0];
  while (from > 0 && whole < count) whole += runs[--from].selected ? 0 : 1;
  return runs.slice(from).reverse();
}

/// The rows of a matrix over its newest nights: from which on, and the spans of each, the newest first.
async function kernelRows(matrix, count) {
  const columns = newestRuns(matrix.runs, count);
  const files = [...new Set(columns.map((run) => run.nights))];
  const nights = await Promise.all(files.map(nightsOf));
  const rows = new Map();
  let before = 0;
  files.forEach((file, at) => {
    const data = nights[at];
    const places = columns.filter((run) => run.nights === file).map((run) => data.night.get(run.id) ?? null);
    // Many cells share a row of the file.
    const known = data.rows.map((row) => spansIn(places.map((place) => place === null ? null : row[place])));
    data.jobs.forEach((job, j) => data.kernels.forEach((kernel, k) => {
      const spans = known[data.cells[j][k]];
      if (spans === undefined) return;
      const key = kernel + ' ' + job;
      if (!rows.has(key)) rows.set(key, { kernel, job, spans: [], nights: 0, release: null });
      const row = rows.get(key);
      row.release ??= data.texts[data.releases[k].findLast(([, text]) => text !== null)?.[1] ?? -1] ?? null;
      extend(row, null, before - row.nights);
      for (const [result, count] of spans) extend(row, result, count);
    }));
    before += places.length;
  });
  const all = [...rows.values()].filter((row) => row.spans.some(([result]) => result !== null));
  all.forEach((row) => summarise(row, columns.length));
  return { columns, all };
}

/// Adds nights to a row.
function extend(row, result, nights) {
  if (nights <= 0) return;
  row.nights += nights;
  const last = row.spans.at(-1);
  if (last?.[0] === result) last[1] += nights;
  else row.spans.push([result, nights]);
}

/// The spans of results.
function spansIn(results) {
  const row = { spans: [], nights: 0 };
  for (const result of results) extend(row, result, 1);
  return row.spans;
}

/// What a row is filtered and sorted by.
function summarise(row, nights) {
  extend(row, null, nights - row.nights);
  const results = row.spans.map(([result]) => result).filter(Boolean);
  const [newest] = results;
  const changed = new Set(results).size > 1;
  row.outcomes = new Set(results.map((result) => result.outcome));
  row.marks = new Set(['unexpected', 'conflict'].filter((mark) => results.some((result) => result[mark])).concat(changed ? ['changed'] : []));
  const other = row.spans.findIndex(([result]) => result !== null && result !== newest);
  row.age = changed ? row.spans.slice(0, other).reduce((sum, [, count]) => sum + count, 0) : Infinity;
  row.weight = (newest.conflict ? 100 : 0) + (newest.unexpected ? 50 : 0) + (changed ? 20 : 0) + { fail: 8, error: 6, skip: 0, pass: 2 }[newest.outcome];
  row.text = [row.kernel, row.job, row.release, ...results.map((result) => `${result.words} ${result.verdict} ${result.state ?? ''}`)].join(' ').toLowerCase();
}

const byName = (a, b) => order(a.kernel, b.kernel) || order(a.job, b.job);
const sorts = {
  kernel: ['kernel', byName],
  first: ['what asks to be looked at', (a, b) => b.weight - a.weight || byName(a, b)],
  change: ['newest change', (a, b) => (a.age === b.age ? 0 : a.age - b.age) || byName(a, b)],
};

const matches = (row) => filter.words.every((word) => row.text.includes(word)) && (filter.job === '' || row.job === filter.job)
  && (filter.outcomes.size === 0 || [...filter.outcomes].some((outcome) => row.outcomes.has(outcome)))
  && [...filter.marks].every((mark) => row.marks.has(mark));

/// A part of a row that is as wide as some nights. Nights stand in one table cell a row: a browser lays out a table of
/// thousands of columns slowly.
function over(nights, at, attributes, ...content) {
  const part = make('div', { role: 'cell', 'aria-colindex': at + NAMES + 1, 'aria-colspan': nights, ...attributes }, ...content);
  part.style.flexGrow = nights;
  return part;
}

const nightLine = (tag, parts) => make(tag, { role: 'none', class: 'over' }, make('div', { role: 'none', class: 'line' }, parts));

/// The place of some nights in a row, of which `at` is the first.
function spanCell([result, nights], at) {
  const [run, oldest] = [kernels.columns[at], kernels.columns[at + nights - 1]];
  if (result === null) return over(nights, at, { class: 'span none' });
  const when = nights === 1 ? day(run) : `${day(oldest)} to ${day(run)}`;
  const says = [result.words, result.state].filter(Boolean).join(' ');
  const words = [make('span', { class: nights < 5 ? 'short' : '' }, ' ', result.words),
    unsaid(result).length > 0 && make('span', { class: 'unseen' }, ', ' + unsaid(result).join(', ')),
    nights > 1 && make('span', { class: nights < 7 ? 'short' : '' }, ` ×${nights}`)];
  return over(nights, at, { class: 'span', title: `${says}: ${when}` }, outcome(result, words));
}

function kernelRow(row, at, before) {
  const { matrix } = kernels;
  const first = before === undefined || before.kernel !== row.kernel;
  let night = 0;
  const spans = row.spans.map((span) => {
    night += span[1];
    return spanCell(span, night - span[1]);
  });
  return make('tr', { role: 'row', 'aria-rowindex': at + 3, class: first ? 'first' : '' },
    make('th', { scope: 'row', role: 'rowheader', class: 'kernel', title: [row.kernel, row.release].filter(Boolean).join(', ') },
      make('span', { class: first ? '' : 'unseen' }, row.kernel)),
    make('td', { role: 'cell', class: 'job' }, make('a', { href: cellAddress(matrix, row.kernel, row.job), title: row.job },
      make('span', { class: 'unseen' }, row.kernel + ' '), row.job)), nightLine('td', spans));
}

/// The heads: months, and below them the day of each night.
function kernelHeads(columns) {
  const months = [];
  columns.forEach((run, at) => {
    const month = run.started.slice(0, 7);
    if (months.at(-1)?.month !== month) months.push({ month, at, runs: [] });
    months.at(-1).runs.push(run);
  });
  const head = (attributes, ...content) => make('th', { role: 'columnheader', scope: 'col', ...attributes }, ...content);
  const heads = { role: 'columnheader' };
  const remark = (run) => [minute(run), run.id, run.selected, run.interrupted && 'interrupted', run.untrusted && 'not trusted: a control was judged wrongly'].filter(Boolean).join(', ');
  const link = (run, at) => make('a', { href: address('night', run.id), title: remark(run), tabindex: at === 0 ? null : -1 },
    make('span', { class: 'unseen' }, run.started.slice(0, 8)), run.started.slice(8, 10) + (run.untrusted ? '?' : ''));
  const monthOf = ({ month, at, runs }) => over(runs.length, at, heads, runs.length > 2 ? month : make('span', { class: 'unseen' }, month));
  // The browser draws the days of a month when they are near.
  const daysOf = ({ at, runs }) => {
    const days = make('div', { role: 'none', class: 'month' }, runs.map((run, place) => over(1, at + place, heads, link(run, at + place))));
    days.style.flexGrow = runs.length;
    return days;
  };
  return make('thead', { role: 'rowgroup' },
    make('tr', { role: 'row', class: 'months', 'aria-rowindex': 1 }, head({ rowspan: 2, class: 'kernel' }, 'kernel'), head({ rowspan: 2, class: 'job' }, 'bug'), nightLine('th', months.map(monthOf))),
    make('tr', { role: 'row', class: 'days', 'aria-rowindex': 2, onkeydown: alongNights }, nightLine('th', months.map(daysOf))));
}

/// Moves between the nights of the head with the arrow keys, of which only one is reached with Tab.
function alongNights(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const link = event.target.closest('a');
  const links = [...event.currentTarget.querySelectorAll('a')];
  const next = step && links[links.indexOf(link) + step];
  if (!next) return;
  event.preventDefault();
  link.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

/// Moves between rows with the arrow keys.
function alongRows(event) {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  const link = event.target.closest('td.job a');
  if (!step || !link) return;
  const at = Number(link.closest('tr').getAttribute('aria-rowindex')) - 3 + step;
  if (at < 0 || at >= kernels.rows.length) return;
  event.preventDefault();
  kernels.lazy.row(at).querySelector('td.job a').focus();
}

/// Shows the rows that the filters leave.
function showRows() {
  const rows = kernels.all.filter(matches).sort(sorts[filter.sort][1]);
  kernels.rows = rows;
  kernels.lazy.show(rows, kernelRow, NAMES + 1, 2);
  const nights = plural(kernels.columns.length, 'night');
  byId('count').textContent = rows.length === kernels.all.length ? `${plural(rows.length, 'cell')} over ${nights}`
    : `${rows.length.toLocaleString('en')} of ${plural(kernels.all.length, 'cell')} match, over ${nights}`;
}

/// Loads the nights that are to be shown, and shows them.
async function showNights() {
  const { matrix, shown } = kernels;
  const { columns, all } = await kernelRows(matrix, shown);
  if (kernels.matrix !== matrix || kernels.shown !== shown) return;
  kernels.lazy?.end();
  const table = make('table', { role: 'table', class: 'matrix nights', 'aria-label': 'Cells and nights, the newest first', 'aria-colcount': columns.length + NAMES, onkeydown: alongRows }, kernelHeads(columns));
  table.style.width = `${WIDTHS.kernel + WIDTHS.job + columns.length * WIDTHS.night}rem`;
  Object.assign(kernels, { columns, all, table, lazy: lazyRows(table) });
  byId('table').replaceChildren(table);
  kernelFilters();
  showRows();
}
