// A night: what changed, its numbers, and its unexpected cells.

/// The most cells to list.
const LISTED_MOST = 200;

const numberHeads = ['pass', 'fail', 'error', 'skip', 'unexpected', 'in conflict'];

/// The numbers of a run, of one bug or of all.
function numbersOf(run, job) {
  const some = run.counts.filter(([place]) => job === '' || run.nights.jobs[place] === job);
  return numberHeads.map((_, at) => some.reduce((sum, count) => sum + count[at + 1], 0));
}

/// The address of a run's page. Outside the results folder it works from a file only: a server has no files above the site.
function pageOf(run) {
  const way = overview.results;
  if (!run.page || way === null || !(location.protocol === 'file:' || /^(\.\.\/)*$/.test(way))) return null;
  return way.split('/').map(encodeURIComponent).join('/') + encodeURIComponent(run.id) + '/page.html';
}

function changeItem(run, [kernel, job, kinds, says]) {
  const words = kernel + (job === null ? '' : ' ' + job);
  const name = job === null ? make('b', {}, words) : make('a', { href: cellAddress(run.matrix, kernel, job) }, words);
  return make('li', {}, name, ' ', says, ' ', make('small', {}, kinds.join(', ')));
}

function changesSection(run, data) {
  if (data.before === null) return section('What changed', make('p', {}, 'There was no earlier run to compare with.'));
  const [id, started] = data.before;
  const known = run.matrix.runs.find((one) => one.id === id);
  const since = make('p', {}, `${plural(data.changes.length, 'change')} since `, known ? nightLink(known, id) : id, ` (${started.slice(0, 10)}), ${plural(data.compared, 'cell')} compared`);
  const apart = data.apart.map(([some, count, job, why]) => make('li', {}, some.join(', '), count > some.length && ` and ${count - some.length} more`, job !== null && ' ' + job, ': ', why));
  const doubt = run.untrusted && make('p', {}, 'A control was judged wrongly in this night, so these changes cannot be trusted.');
  return section('What changed', doubt, since, data.changes.length > 0 && make('ul', { class: 'changes' }, data.changes.map((change) => changeItem(run, change))),
    apart.length > 0 && make('details', {}, make('summary', {}, `Not compared: ${data.apart.length}`), make('ul', {}, apart)));
}

/// The cells of a night that are unexpected or in conflict.
function unexpectedSection(run, nights) {
  const found = [];
  for (const kernel of nights.kernels) for (const job of nights.jobs) {
    const cell = cellOf(nights, run, kernel, job);
    if (cell && (cell.result.unexpected || cell.result.conflict)) found.push({ kernel, job, ...cell });
  }
  found.sort((a, b) => order(a.kernel, b.kernel) || order(a.job, b.job));
  const row = ({ kernel, job, result, release, reason }) => [make('a', { href: cellAddress(run.matrix, kernel, job) }, kernel + ' ' + job), outcome(result), release ?? '–', make('span', { class: 'why' }, reason ?? '')];
  const table = (some, label) => grid(label, ['cell', 'result', 'release', 'reason'], some.map(row));
  const rest = found.slice(LISTED_MOST);
  return section('Unexpected, or in conflict', found.length === 0 ? make('p', {}, run.untrusted ? 'The verdicts of this night cannot be trusted.' : 'No cell.') : table(found.slice(0, LISTED_MOST), 'Unexpected cells'),
    rest.length > 0 && later(plural(rest.length, 'more cell'), () => table(rest, 'More unexpected cells')));
}

const EXITS = { 0: 'all as expected', 1: 'an unexpected result', 2: 'bad usage', 3: 'no verdict', 130: 'interrupted' };

async function showNight(run, draw) {
  const { runs } = run.matrix;
  const at = runs.indexOf(run);
  const near = (other, words, rel) => other && make('a', { href: address('night', other.id), rel }, words);
  const page = pageOf(run);
  const facts = [['run', page === null ? make('code', {}, run.id) : make('a', { href: page }, run.id + ', with all its evidence')], ['started', run.started], ['matrix', run.matrix.name],
    run.selected && ['selected', run.selected], ['exit code', `${run.exit}: ${EXITS[run.exit] ?? 'no verdict'}`],
    run.interrupted && ['remark', 'interrupted: some cells were not judged'], run.untrusted && ['remark', 'not trusted: a control was judged wrongly']];
  const rows = run.counts.map(([place, ...numbers]) => [run.nights.jobs[place], ...numbers.map(String)]);
  const [data, nights] = await Promise.all([load(`changes/${run.file ?? run.id}.js`), nightsOf(run.nights)]);
  draw([minute(run), ' ', make('small', {}, run.matrix.name)], [
    section('Run', make('dl', { class: 'facts' }, facts.filter(Boolean).map(([label, value]) => [make('dt', {}, label), make('dd', {}, value)]))),
    changesSection(run, data),
    unexpectedSection(run, nights),
    section('Cells', rows.length > 0 && grid('Numbers of cells', ['bug', ...numberHeads], rows)),
  ], `Night of ${day(run)}`, [near(runs[at + 1], 'Next night', 'next'), near(runs[at - 1], 'Previous night', 'prev')]);
}
