// The past of a cell: runs in a row that say the same, and how long its reproducer took.

/// The most lines to show at once.
const LINES_MOST = 100;

/// What the nights of some files say of a cell, the newest first. Nights that did not judge it are left out.
function pastOf(files, all, kernel, job) {
  return files.flatMap((file, at) => file.runs.map((run) => cellOf(all[at], run, kernel, job)).filter(Boolean).reverse());
}

/// Runs in a row with the same result, as `history KERNEL BUG` tells them.
function spansOf(past) {
  const spans = [];
  for (const cell of past) {
    const last = spans.at(-1);
    if (last?.newest.result === cell.result) [last.oldest, last.runs] = [cell, last.runs + 1];
    else spans.push({ newest: cell, oldest: cell, runs: 1 });
  }
  return spans;
}

const seconds = (ms) => (ms / 1000).toLocaleString('en', { maximumSignificantDigits: 3 }) + ' s';

function pastTable(spans) {
  const line = ({ newest, oldest, runs }) => [outcome(newest.result), [newest.result.verdict, newest.result.state].filter(Boolean).join(', '), nightLink(oldest.run, day(oldest.run)),
    nightLink(newest.run, day(newest.run)), runs.toLocaleString('en'), newest.release ?? '–', make('span', { class: 'why' }, newest.reason ?? '')];
  const table = (some, label) => grid(label, ['result', 'verdict', 'first', 'last', 'runs', 'release', 'reason'], some.map(line));
  const [newer, older] = [spans.slice(0, LINES_MOST), spans.slice(LINES_MOST)];
  return [table(newer, 'Past'), older.length > 0 && later(plural(older.length, 'earlier line'), () => table(older, 'Earlier past'))];
}

function timesChart(past) {
  const cells = past.filter((cell) => cell.time !== null).reverse();
  if (cells.length === 0) return [];
  const line = (name, words, real) => ({ name, words, values: cells.map(({ time }) => time.real === real ? time.ms / 1000 : null) });
  const lines = [line('guest', 'by the guest’s own clock', false), line('host', 'by the host’s clock', true)].filter((one) => one.values.some((value) => value !== null));
  const times = cells.map(({ time }) => time.ms).sort((a, b) => a - b);
  const label = `Seconds that the reproducer took in the guest, ${lines.map((one) => one.words).join(' and ')}: ${seconds(times[0])} to ${seconds(times.at(-1))}, median ${seconds(times[times.length >> 1])}`;
  const rows = () => grid('Times in the guest', ['night', 'time', 'clock'],
    [...cells].reverse().map(({ run, time }) => [nightLink(run), seconds(time.ms), time.real ? 'host' : 'guest']));
  return [chart(label, cells.map(({ run }) => run), lines, 0), later('Times as a table', rows)];
}

/// Shows the past of a cell: first its newest nights, then all.
async function showCell(matrix, kernel, job, draw) {
  const files = [...matrix.files].reverse();
  const title = [kernel, ' · ', job];
  const show = (past, missing) => {
    const spans = spansOf(past);
    const [now] = spans;
    const since = now && `${now.newest.result.words}${now.newest.result.state ? ' ' + now.newest.result.state : ''} since ${day(now.oldest.run)}, ${plural(now.runs, 'run')}`;
    draw([...title, ' ', now && outcome(now.newest.result)], [
      section('Past', missing > 0 && make('p', { class: 'quiet' }, `Loading the nights of ${plural(missing, 'earlier file')} …`),
        since && make('p', {}, since), now ? pastTable(spans) : missing === 0 && make('p', {}, `No night of ${matrix.name} judged this cell.`)),
      section('Time in the guest', timesChart(past)),
    ], `${kernel} ${job}: ${now?.newest.result.words ?? 'not judged'}`);
  };
  if (files.length > 1) {
    show(pastOf(files.slice(0, 1), [await nightsOf(files[0])], kernel, job), files.length - 1);
    // The browser draws it before the other files are read.
    await new Promise((done) => setTimeout(done));
  }
  show(pastOf(files, await Promise.all(files.map(nightsOf)), kernel, job), 0);
}
