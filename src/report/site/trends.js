// Trends: the numbers of each night, of all bugs or of one.

const trend = { job: '' };

/// The changes of a night are told whole, whatever bug is chosen.
const ALL_CHANGES = 'changes, all bugs';

function showTrends(matrix, draw) {
  const jobs = [...new Set(matrix.files.flatMap((file) => file.jobs))].sort(order);
  if (!jobs.includes(trend.job)) trend.job = '';
  const place = make('div', {});
  const table = make('table', { role: 'table', class: 'grid' }, make('thead', { role: 'rowgroup' }, make('tr', { role: 'row' },
    ['night', 'cells', ...numberHeads, ALL_CHANGES, 'remarks'].map((head) => make('th', { role: 'columnheader', scope: 'col' }, head)))));
  const lazy = lazyRows(table);
  const row = (run) => {
    const numbers = numbersOf(run, trend.job);
    const cells = numbers.slice(0, 4).reduce((sum, number) => sum + number, 0);
    const remarks = [run.selected, run.interrupted && 'interrupted', run.untrusted && 'not trusted'].filter(Boolean).join(', ');
    const values = [['cells', cells], ...numberHeads.map((head, at) => [head, numbers[at]]), [ALL_CHANGES, run.changes ?? '–'], ['remarks', remarks]];
    return make('tr', { role: 'row' }, make('th', { role: 'rowheader', scope: 'row' }, nightLink(run)),
      values.map(([head, value]) => make('td', { role: 'cell', 'data-label': head }, value.toLocaleString('en'))));
  };
  const show = () => {
    // The numbers of a night that cannot be trusted, or that judged only a part, stand in the table only.
    const runs = matrix.runs.filter((run) => !run.untrusted);
    const all = runs.map((run) => run.selected || run.interrupted ? null : numbersOf(run, trend.job));
    const line = (name, at) => ({ name, words: name, values: all.map((numbers) => numbers && numbers[at]) });
    const newest = (values) => values.findLast((value) => value !== null) ?? 0;
    // The broadest line is drawn first, below the others.
    const lines = [line('unexpected', 4), line('fail', 1), line('error', 2), line('skip', 3)];
    const label = `Cells of ${trend.job || 'all bugs'} in each night; in the newest ${lines.map(({ words, values }) => `${newest(values)} ${words}`).join(', ')}`;
    place.replaceChildren(chart(label, runs, lines, 1));
    lazy.show([...matrix.runs].reverse(), row, numberHeads.length + 4);
  };
  draw(['Trends'], [
    choice('Bug', 'trend', [['', 'all'], ...jobs.map((job) => [job, job])], trend.job, (job) => {
      trend.job = job;
      show();
    }),
    place,
    section('Nights', make('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': 'Nights' }, table)),
  ], 'Trends');
  show();
  return lazy;
}
