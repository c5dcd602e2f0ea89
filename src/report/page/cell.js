// An opened cell: all that the run has on it.

const replayCommand = (cell, number) => `backproof replay ${overview.run} ${kernelOf(cell).name} --boot ${number}`;

function judgement(cell, own) {
  const rows = [['verdict', cell.verdict], ['state', cell.state ?? 'open: several remain'], ['outcome', cell.word],
    ['expected', say(own.expect) + (cell.unexpected ? ' (not met)' : ' (met)')]];
  const list = make('dl', { class: 'facts' }, rows.map(([label, value]) => [make('dt', {}, label), make('dd', {}, value)]));
  const remarks = (own.remarks ?? []).map(([label, says]) => make('li', {}, make('b', {}, say(label)), ' ', say(says)));
  const reason = own.reason !== undefined && [make('h4', {}, 'Reason'), block([say(own.reason)])];
  return [list, reason, remarks.length > 0 && make('ul', { class: 'remarks' }, remarks)];
}

const changesOf = (cell) => (overview.changes?.changes ?? []).filter((change) =>
  change.kernel === kernelOf(cell).name && (change.job === jobOf(cell) || change.job === null));

function ledger(own) {
  const rows = own.findings.map((finding) => [say(finding.witness), finding.states.length === 5 ? 'any' : finding.states.map(say).join(', '),
    [say(finding.strength), finding.against && make('b', { class: 'against' }, ' against the verdict')],
    [make('span', { class: 'why' }, say(finding.why)), finding.files && make('ul', { class: 'files' }, finding.files.map((path) =>
      make('li', {}, file(say(path), say(path).split('/').pop()))))]]);
  return rows.length > 0 && grid('Ledger', ['witness', 'leaves possible', 'strength', 'why'], rows);
}

function steps(own) {
  const rows = (own.steps ?? []).map((step) => [say(step.role), make('code', {}, say(step.commit).slice(0, 12)), say(step.how),
    [step.tag !== undefined && 'in ' + say(step.tag), step.reverted !== undefined && ' reverted by ' + say(step.reverted)]]);
  return rows.length > 0 && grid('Steps in git', ['step', 'commit', 'how it was found', 'releases'], rows);
}

/// The most rows to show at once.
const ROWS_MOST = 16;

function checkTable(checks) {
  const rows = checks.map((check) => {
    const figures = Object.entries(factsOf(check)).filter(([, value]) => value !== null);
    const more = figures.length > 0 && later('figures', () => make('dl', { class: 'facts' }, figures.map(([name, value]) =>
      [make('dt', {}, name), make('dd', {}, value.toLocaleString('en'))])));
    return [say(check.name), say(check.role), make('span', { class: 'tag ' + say(check.shown) }, say(check.shown)), [say(check.why), more]];
  });
  const table = () => grid('Checks', ['check', 'role', 'shown', 'why'], rows);
  return rows.length > ROWS_MOST ? later(rows.length + ' checks', table) : rows.length > 0 && table();
}

/// The kernel's counters: those with a value before and after, and those that only tell their change.
function counters(checks) {
  const rows = [];
  for (const check of checks) {
    const facts = factsOf(check);
    for (const [name, value] of Object.entries(facts)) {
      const counter = name.replace(/_after$/, '');
      if (name.endsWith('_after') && facts[counter + '_before'] !== undefined && value !== null) {
        const before = facts[counter + '_before'];
        rows.push([say(check.name), counter, before ?? '–', value, before === null ? '–' : signed(value - before)]);
      } else if (/^(syncookies|listen)_/.test(name) && value !== null) {
        rows.push([say(check.name), name, '', '', signed(value)]);
      }
    }
  }
  const table = () => grid('Counters', ['check', 'counter', 'before', 'after', 'change'], rows.map((row) => row.map(String)));
  return rows.length > ROWS_MOST ? later(rows.length + ' counters', table) : rows.length > 0 && table();
}

const signed = (number) => (number > 0 ? '+' : '') + number.toLocaleString('en');

function settings(cell) {
  const profile = overview.profiles[cell.profile];
  const rows = profile.sysctls.map(([name, value]) => [make('code', {}, name), make('code', {}, value)]);
  const own = profile.name === DEFAULT && rows.length === 0 && !profile.cmdline;
  return [make('p', {}, own ? 'The kernel’s own settings: no sysctl was changed.' : [make('b', {}, profile.name), ' ', profile.says ?? '']),
    rows.length > 0 && grid('Sysctls', ['sysctl', 'value'], rows),
    profile.cmdline && make('p', {}, 'Kernel command line: ', make('code', {}, profile.cmdline))];
}

function bootSections(cell, own) {
  const kernel = details().kernels[kernelOf(cell).name];
  const names = new Set(own.boots.map(say));
  const boots = (kernel?.boots ?? []).filter((boot) => names.has('boot-' + boot.number));
  return boots.map((boot) => {
    const folder = kernelOf(cell).name + '/boot-' + boot.number;
    const virtual = boot.seed !== undefined;
    const facts = [['accelerator', say(boot.accelerator)], ['wall time', boot.cached !== undefined ? 'cached, made ' + say(boot.cached) : boot.seconds + ' s'],
      ['seed', virtual ? `${boot.seed}, shift ${boot.shift}` : 'none: real time'],
      ['transcript', boot.transcript === undefined ? 'none' : make('code', {}, say(boot.transcript))]];
    const files = ['console.log', 'agent.jsonl', 'qmp.jsonl', 'boot.sh', 'boot.json'];
    return make('section', { class: 'boot' }, make('h4', {}, 'boot-' + boot.number),
      make('dl', { class: 'facts' }, facts.map(([label, value]) => [make('dt', {}, label), make('dd', {}, value)])),
      boot.failure !== undefined && [make('h5', {}, 'Failure'), block([say(boot.failure)])],
      (boot.notes ?? []).length > 0 && make('ul', {}, boot.notes.map((note) => make('li', {}, say(note)))),
      make('h5', {}, 'Boot it again'), block([replayCommand(cell, boot.number), `sh ${folder}/boot.sh`]),
      boot.command && make('details', {}, make('summary', {}, 'boot.sh'), block(boot.command.map(say))),
      boot.console && [make('h5', {}, 'End of the console'), block(boot.console.map(say))],
      make('ul', { class: 'files' }, files.map((name) => make('li', {}, file(folder + '/' + name, name)))));
  });
}

function kernelSection(cell) {
  const kernel = details().kernels[kernelOf(cell).name];
  if (!kernel) return [];
  const rows = [['release', kernelOf(cell).release ?? 'unknown'], ['source', say(kernel.source)], ['packages', kernel.packages.map(say).join(', ') || 'none'],
    ['image sha256', make('code', {}, say(kernel.image_sha256))], kernel.stale !== undefined && ['may be stale', say(kernel.stale)]];
  return make('dl', { class: 'facts' }, rows.filter(Boolean).map(([label, value]) => [make('dt', {}, label), make('dd', {}, value)]));
}

/// Shows a cell, with the way to its neighbours in the table.
function showCell(cell) {
  const own = details().cells[cell.index];
  const checks = (own.checks ?? []).map((place) => details().checks[place]);
  const all = inOrder();
  const at = all.indexOf(cell);
  const near = (step, words) => {
    const next = at < 0 ? undefined : all[at + step];
    return next && make('a', { href: hashOf(next), rel: step > 0 ? 'next' : 'prev', title: kernelOf(next).name + ' ' + jobOf(next) }, words);
  };
  const profile = profileName(cell);
  const reach = (own.reach ?? []).map(([name, says]) => [make('code', {}, say(name)), say(says)]);
  byId('cell').replaceChildren(...[
    make('nav', { 'aria-label': 'Cells' }, make('a', { href: '#', class: 'back' }, '← Matrix'), near(-1, 'Previous cell'), near(1, 'Next cell')),
    make('h2', { id: 'cell-title', tabindex: '-1' }, kernelOf(cell).name, ' · ', overview.bugs[cell.bug],
      profile !== DEFAULT && ` · @${profile}`, ' ', make('span', { class: ['outcome', cell.outcome, ...Object.keys(MARKS).filter((mark) => cell[mark])].join(' ') },
        make('span', { 'aria-hidden': 'true' }, SYMBOLS[cell.outcome] + ' '), cell.word)),
    section('What changed', changesOf(cell).map((change) => make('p', {}, change.says))),
    section('Judgement', judgement(cell, own)),
    section('Ledger', ledger(own)),
    section('Steps in git', steps(own)),
    section('The wire', pictures(cell)),
    section('SYN cookies: seen and predicted', cookies(checks)),
    section('Checks', checkTable(checks)),
    section('Counters', counters(checks)),
    section('Settings', settings(cell)),
    section('Functions entered', reach.length > 0 && grid('Functions entered', ['function', 'entered'], reach)),
    section('Crash', own.crash && [make('p', {}, make('b', {}, say(own.crash[0]))), block(own.crash[1].map(say))]),
    section('What its program said', own.said && block(own.said.map(say))),
    section('Kernel', kernelSection(cell)),
    section('Boots', bootSections(cell, own)),
    section('Files', make('ul', { class: 'files' }, make('li', {}, file(kernelOf(cell).name + '/' + jobOf(cell) + '/ledger.json', 'ledger.json')), make('li', {}, file('matrix.json')))),
  ].filter(Boolean));
}
