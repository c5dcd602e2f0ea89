// Nights × kernels: a row for each cell, and for each night a place. Nights in a row that say the same share one.

/// The widths of the columns, in rem.
const WIDTHS = { kernel: 15, job: 15, night: 1.75 };

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
    const known = data.rows.map((row) => places.map((place) => place === null ? null : row[place]));
    data.jobs.forEach((job, j) => data.kernels.forEach((kernel, k) => {
      const results = known[data.cells[j][k]];
      if (results === undefined) return;
      const key = kernel + ' ' + job;
      if (!rows.has(key)) rows.set(key, { kernel, job, spans: [], nights: 0, release: null });
      const row = rows.get(key);
      row.release ??= data.texts[data.releases[k].findLast(([, text]) => text !== null)?.[1] ?? -1] ?? null;
      extend(row, null, before - row.nights);
      for (const result of results) extend(row, result, 1);
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
  // HTML allows cells of at most 1,000 columns.
  if (last && last[0] === result && last[1] + nights <= 1000) last[1] += nights;
  else row.spans.push([result, nights]);
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

/// The place of some nights in a row.
function spanCell([result, nights], run, oldest) {
  if (result === null) return make('td', { role: 'cell', colspan: nights, class: 'span none' });
  const when = nights === 1 ? day(run) : `${day(oldest)} to ${day(run)}`;
  const says = [result.words, result.state].filter(Boolean).join(' ');
  const words = [make('span', { class: nights < 5 ? 'short' : '' }, ' ', result.words),
    unsaid(result).length > 0 && make('span', { class: 'unseen' }, ', ' + unsaid(result).join(', ')),
    nights > 1 && make('span', { class: nights < 7 ? 'short' : '' }, ` ×${nights}`)];
  return make('td', { role: 'cell', colspan: nights, class: 'span', title: `${says}: ${when}` }, outcome(result, words));
}

function kernelRow(row, at, before) {
  const { matrix, columns } = kernels;
  const first = before === undefined || before.kernel !== row.kernel;
  let night = 0;
  const spans = row.spans.map((span) => {
    const cell = spanCell(span, columns[night], columns[night + span[1] - 1]);
    night += span[1];
    return cell;
  });
  return make('tr', { role: 'row', 'aria-rowindex': at + 3, class: first ? 'first' : '' },
    make('th', { scope: 'row', role: 'rowheader', class: 'kernel', title: [row.kernel, row.release].filter(Boolean).join(', ') },
      make('span', { class: first ? '' : 'unseen' }, row.kernel)),
    make('td', { role: 'cell', class: 'job' }, make('a', { href: cellAddress(matrix, row.kernel, row.job), title: row.job },
      make('span', { class: 'unseen' }, row.kernel + ' '), row.job)), spans);
}

/// The heads: months, and below them the day of each night.
function kernelHeads(columns) {
  const months = [];
  for (const run of columns) {
    const month = run.started.slice(0, 7);
    if (months.at(-1)?.[0] === month && months.at(-1)[1] < 1000) months.at(-1)[1] += 1;
    else months.push([month, 1]);
  }
  const head = (attributes, ...content) => make('th', { role: 'columnheader', scope: 'col', ...attributes }, ...content);
  const remark = (run) => [minute(run), run.id, run.selected, run.interrupted && 'interrupted', run.untrusted && 'not trusted: a control was judged wrongly'].filter(Boolean).join(', ');
  const link = (run, at) => make('a', { href: address('night', run.id), title: remark(run), tabindex: at === 0 ? null : -1 },
    make('span', { class: 'unseen' }, run.started.slice(0, 8)), run.started.slice(8, 10) + (run.untrusted ? '?' : ''));
  return [make('colgroup', {}, make('col', { class: 'kernel' }), make('col', { class: 'job' }), columns.map(() => make('col', { class: 'night' }))),
    make('thead', { role: 'rowgroup' },
      make('tr', { role: 'row', class: 'months', 'aria-rowindex': 1 }, head({ rowspan: 2, class: 'kernel' }, 'kernel'), head({ rowspan: 2, class: 'job' }, 'bug'),
        months.map(([month, count]) => head({ scope: 'colgroup', colspan: count }, count > 2 ? month : make('span', { class: 'unseen' }, month)))),
      make('tr', { role: 'row', class: 'days', 'aria-rowindex': 2, onkeydown: alongNights }, columns.map((run, at) => head({}, link(run, at)))))];
}

/// Moves between the nights of the head with the arrow keys, of which only one is reached with Tab.
function alongNights(event) {
  const step = { ArrowLeft: 'previousElementSibling', ArrowRight: 'nextElementSibling' }[event.key];
  const link = event.target.closest('a');
  const next = step && link?.closest('th')[step]?.querySelector('a');
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
  kernels.lazy.show(rows, kernelRow, kernels.columns.length + 2, 2);
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
  const table = make('table', { role: 'table', class: 'matrix nights', 'aria-label': 'Cells and nights, the newest first', 'aria-colcount': columns.length + 2, onkeydown: alongRows }, kernelHeads(columns));
  table.style.width = `${WIDTHS.kernel + WIDTHS.job + columns.length * WIDTHS.night}rem`;
  Object.assign(kernels, { columns, all, table, lazy: lazyRows(table) });
  byId('table').replaceChildren(table);
  kernelFilters();
  showRows();
}
