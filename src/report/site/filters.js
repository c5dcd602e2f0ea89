// The filters above nights × kernels.

/// The numbers of nights to choose from.
const NIGHTS = [30, 90, 365];

function choice(label, id, options, chosen, change) {
  return make('label', {}, label + ' ', make('select', { id, onchange: (event) => change(event.target.value) },
    options.map(([value, words]) => make('option', { value, selected: String(value) === String(chosen) }, words))));
}

function kernelFilters() {
  const { matrix, all, shown } = kernels;
  const focused = document.activeElement?.id;
  const toggle = (words, set, value, count) => (count > 0 || set.has(value)) && make('button', { type: 'button', 'aria-pressed': String(set.has(value)), onclick: (event) => {
    const on = !set.has(value);
    if (on) set.add(value); else set.delete(value);
    event.currentTarget.setAttribute('aria-pressed', String(on));
    showRows();
  } }, `${words} ${count.toLocaleString('en')}`);
  const count = (is) => all.filter(is).length;
  const jobs = [...new Set(all.map((row) => row.job))].sort(order);
  if (!jobs.includes(filter.job)) filter.job = '';
  const total = matrix.runs.length;
  const numbers = [...NIGHTS.filter((number) => number < total).map((number) => [number, `newest ${number}`]), [total, `all ${total.toLocaleString('en')}`]];
  const change = (key) => (value) => {
    filter[key] = value;
    showRows();
  };
  byId('filters').replaceChildren(
    make('label', {}, 'Text ', make('input', { id: 'words', type: 'search', value: filter.words.join(' '), placeholder: 'kernel, release, bug, verdict …', autocomplete: 'off', oninput: (event) => {
      filter.words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      showRows();
    } })),
    choice('Bug', 'job', [['', 'any'], ...jobs.map((job) => [job, job])], filter.job, change('job')),
    choice('Sorted by', 'sort', Object.entries(sorts).map(([key, [words]]) => [key, words]), filter.sort, change('sort')),
    choice('Nights', 'nights', numbers, Math.min(shown, total), (value) => {
      kernels.shown = Number(value);
      whileLoading(showNights());
    }),
    make('span', { role: 'group', 'aria-label': 'Outcomes in these nights' }, ...Object.keys(SYMBOLS).map((outcome) =>
      toggle(`${SYMBOLS[outcome]} ${outcome}`, filter.outcomes, outcome, count((row) => row.outcomes.has(outcome)))).filter(Boolean)),
    make('span', { role: 'group', 'aria-label': 'Marks in these nights' }, ...Object.entries({ unexpected: '▢', conflict: '⚡', changed: 'Δ' }).map(([mark, sign]) =>
      toggle(`${sign} ${mark}`, filter.marks, mark, count((row) => row.marks.has(mark)))).filter(Boolean)));
  if (focused) byId(focused)?.focus();
}
