// The site: its head, its views by address, its keys.

/// The run of an id.
const runOf = (id) => overview.matrices.flatMap((matrix) => matrix.runs).find((run) => run.id === id);

/// The matrix of a name; without one, that of the newest run.
function matrixOf(name) {
  const newest = (a, b) => (a.runs.at(-1).started < b.runs.at(-1).started ? b : a);
  return name === undefined ? overview.matrices.reduce(newest) : overview.matrices.find((matrix) => matrix.name === name);
}

/// A selection, as far as a head has room for it.
const brief = (words) => (words.length > 100 ? words.slice(0, 99) + '…' : words);

/// A run in a few words, and how they look.
function verdictOf(run) {
  const [, , , , unexpected, conflicts] = numbersOf(run, '');
  if (run.untrusted) return ['Verdicts cannot be trusted', 'bad'];
  if (run.interrupted) return ['Interrupted', 'broken'];
  if (conflicts > 0) return ['Witnesses in conflict', 'bad'];
  if (unexpected > 0) return [plural(unexpected, 'unexpected result'), 'bad'];
  return run.exit === 0 ? ['All as expected', 'good'] : ['No verdict', 'broken'];
}

function head(matrix, view) {
  const newest = matrix.runs.at(-1);
  // A night that judged a part says nothing of the rest.
  const whole = matrix.runs.findLast((run) => !run.selected && !run.interrupted) ?? newest;
  const [words, tone] = verdictOf(whole);
  const [pass, fail, error, skip] = numbersOf(whole, '');
  const part = newest === whole ? [] : [` ${newest.interrupted ? 'A newer night was interrupted' : 'A newer night judged a part'}`, newest.selected && ` (${brief(newest.selected)})`, ': ', nightLink(newest), '.'];
  byId('matrix-name').replaceChildren('of ', make('code', {}, matrix.name));
  byId('verdict').className = 'verdict ' + tone;
  byId('verdict').textContent = words + (whole.selected ? ' in a part' : '');
  byId('summary').replaceChildren(...[`The newest ${newest === whole ? '' : 'whole '}night, `, nightLink(whole), whole.selected && ` (${brief(whole.selected)})`, `: ${plural(whole.cells, 'cell')}, ${pass} pass, ${fail} fail, ${error} error, ${skip} skip. `
    + `${plural(matrix.runs.length, 'night')} since ${day(matrix.runs[0])}.`, ...part].filter(Boolean));
  const link = (name, key) => make('a', { href: address(key, matrix.name), 'aria-current': key === view ? 'page' : null }, name);
  const focused = document.activeElement?.id === 'matrix-choice';
  byId('views').hidden = false;
  byId('views').replaceChildren(link('Nights', 'matrix'), link('Trends', 'trends'), ...[overview.matrices.length > 1
    && choice('Matrix', 'matrix-choice', overview.matrices.map(({ name }) => [name, name]), matrix.name, (name) => {
      location.hash = address(view === 'trends' ? 'trends' : 'matrix', name);
    })].filter(Boolean));
  if (focused) byId('matrix-choice')?.focus();
}

/// Says that data is loaded, and if it cannot be, what to do.
async function whileLoading(work) {
  const late = setTimeout(() => {
    byId('status').textContent = 'Loading …';
  }, 200);
  try {
    await work;
    byId('status').textContent = '';
  } catch (error) {
    byId('status').replaceChildren(`Could not load ${error.message}. The site may have been updated, or a file of it is missing. `,
      make('button', { type: 'button', onclick: () => location.reload() }, 'Reload'));
  } finally {
    clearTimeout(late);
  }
}

let shown = null;
let scrolled = [0, 0, 0];
let endView = () => {};

function parts() {
  try {
    return location.hash.slice(1).split('/').map(decodeURIComponent);
  } catch {
    return ['unknown'];
  }
}

/// Shows what the address names.
async function route() {
  const [view, first, ...rest] = parts();
  const target = { view, matrix: null, run: null };
  if (view === '' || view === 'matrix' || view === 'trends') target.matrix = matrixOf(first);
  if (view === 'cell' && rest.length === 2) target.matrix = matrixOf(first);
  if (view === 'night') target.matrix = (target.run = runOf(first))?.matrix;
  const before = shown;
  if (before?.isKernels) scrolled = [scrollY, byId('table').scrollTop, byId('table').scrollLeft];
  endView();
  endView = () => {};
  const isKernels = view === '' || view === 'matrix';
  shown = { isKernels: isKernels && Boolean(target.matrix), matrix: target.matrix, cell: view === 'cell' ? [first, ...rest] : null };
  const own = shown;
  const isShown = () => shown === own;
  byId('kernels').hidden = !shown.isKernels;
  byId('view').hidden = shown.isKernels;
  if (!target.matrix) {
    drawView(isShown, before)(['Not here'], [make('p', {}, 'This history has no such night or cell. It may have been removed. ', make('a', { href: '#' }, 'All nights'))], 'Not here');
    return;
  }
  head(target.matrix, isKernels ? 'matrix' : view);
  if (isKernels) await showKernels(target.matrix, before);
  else {
    const draw = drawView(isShown, before);
    if (view === 'cell') await showCell(target.matrix, rest[0], rest[1], draw);
    if (view === 'night') await showNight(target.run, draw);
    if (view === 'trends') {
      const lazy = showTrends(target.matrix, draw);
      addEventListener('beforeprint', lazy.fillAll);
      endView = () => {
        lazy.end();
        removeEventListener('beforeprint', lazy.fillAll);
      };
    }
  }
}

/// Shows nights × kernels, at the place where it was left.
async function showKernels(matrix, before) {
  const same = kernels.matrix === matrix;
  if (!same) {
    Object.assign(kernels, { matrix, shown: 30 });
    for (const id of ['table', 'filters', 'count']) byId(id).replaceChildren();
    try {
      await showNights();
    } catch (error) {
      kernels.matrix = null;
      throw error;
    }
    scrolled = [0, 0, 0];
  }
  document.title = `${byId('verdict').textContent}: backproof history of ${matrix.name}`;
  if (!shown.isKernels || before === null) return;
  scrollTo(0, scrolled[0]);
  byId('table').scrollTo(scrolled[2], scrolled[1]);
  const at = before.cell === null ? -1 : kernels.rows.findIndex((row) => row.kernel === before.cell[1] && row.job === before.cell[2]);
  const link = at < 0 ? null : kernels.lazy.row(at).querySelector('td.job a');
  if (document.activeElement?.id !== 'matrix-choice') (link ?? byId('kernels-title')).focus({ preventScroll: link === null });
}

/// How a view is drawn, and drawn again when more is known: its heading, its sections, its title, and the ways to its
/// neighbours. It takes the focus, but not when the site is opened.
function drawView(isShown, before) {
  let drawn = false;
  byId('view').replaceChildren();
  return (heading, sections, title, near) => {
    if (!isShown()) return;
    const back = shown.cell === null && !near ? [] : [make('a', { href: address('matrix', (shown.matrix ?? matrixOf()).name), class: 'back' }, '← All nights')];
    const wasInside = byId('view').contains(document.activeElement);
    const ways = [...back, ...(near ?? []).filter(Boolean)];
    byId('view').replaceChildren(...[ways.length > 0 && make('nav', { 'aria-label': 'Neighbours' }, ways), make('h2', { id: 'view-title', tabindex: '-1' }, heading), ...sections].filter(Boolean));
    document.title = `${title}: backproof history`;
    if (!drawn && before !== null) scrollTo(0, 0);
    const isFirst = !drawn && before !== null && document.activeElement?.id !== 'matrix-choice';
    if (isFirst || wasInside) byId('view-title').focus({ preventScroll: true });
    drawn = true;
  };
}

const start = async () => {
  readOverview(await load('overview.js'));
  if (overview.matrices.length === 0) {
    byId('summary').textContent = 'There are no nights yet: `backproof run` records them.';
    return;
  }
  addEventListener('hashchange', () => whileLoading(route()));
  await route();
};

document.querySelector('.to-content').addEventListener('click', (event) => {
  // The address stays that of the view.
  event.preventDefault();
  byId(byId('view').hidden ? 'kernels-title' : 'view-title')?.focus();
});
addEventListener('beforeprint', () => kernels.lazy?.fillAll());
addEventListener('keydown', (event) => {
  const typing = event.target.closest('input, select, textarea');
  if (event.key === 'Escape' && !typing && shown && !shown.isKernels) location.hash = address('matrix', (shown.matrix ?? matrixOf()).name);
  if (event.key === '/' && !typing && shown?.isKernels) {
    event.preventDefault();
    byId('words').focus();
  }
});

whileLoading(start()).then(() => performance.mark('interactive'));
