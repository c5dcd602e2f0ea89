// The site's data: the overview, and the files of nights and changes, which are loaded when they are looked at.

const FOLDER = document.body.dataset.folder;
const loading = new Map();
const expected = new Map();

/// What data files call.
globalThis.backproof = (data) => expected.get(document.currentScript)?.(data);

/// The content of a data file, which is loaded once.
function load(path) {
  if (!loading.has(path)) {
    loading.set(path, new Promise((done, failed) => {
      const script = make('script', { src: FOLDER + path.split('/').map(encodeURIComponent).join('/') });
      // A script that has run has called the function above.
      const ended = () => {
        if (expected.delete(script)) {
          loading.delete(path);
          failed(new Error(path));
        }
        script.remove();
      };
      expected.set(script, (data) => {
        expected.delete(script);
        done(data);
      });
      script.addEventListener('error', ended);
      script.addEventListener('load', ended);
      document.head.append(script);
    }));
  }
  return loading.get(path);
}

/// The matrices, each with its runs and the file of each run; the oldest first.
let overview = null;

function readOverview(data) {
  for (const matrix of data.matrices) {
    for (const file of matrix.files) for (const run of file.runs) [run.nights, run.matrix] = [file, matrix];
    matrix.runs = matrix.files.flatMap((file) => file.runs);
  }
  overview = data;
}

const UNEXPECTED = 1;
const CONFLICT = 2;
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_~';
const FURTHER = 0x4e00;
const REAL = 2048;

/// Results that say the same are one object, in whatever file they stand.
const results = new Map();

function resultOf(told) {
  const key = JSON.stringify(told);
  if (!results.has(key)) {
    const [outcome, verdict, state, marks, words] = told;
    const [unexpected, conflict] = [(marks & UNEXPECTED) > 0, (marks & CONFLICT) > 0];
    results.set(key, { outcome, verdict, state, words, unexpected, conflict });
  }
  return results.get(key);
}

/// The nights of a file. Each row is a list of results, the oldest first; null for a night that did not judge the cell.
function readNights(data) {
  const told = data.told.map(resultOf);
  const result = (letter) => {
    const place = LETTERS.indexOf(letter);
    return told[place >= 0 ? place : letter.charCodeAt(0) - FURTHER] ?? null;
  };
  const kernels = new Map(data.kernels.map((name, at) => [name, at]));
  const jobs = new Map(data.jobs.map((name, at) => [name, at]));
  const reasons = new Map(data.reasons.map(([kernel, job, night, text]) => [`${kernel} ${job} ${night}`, data.texts[text]]));
  return { ...data, night: new Map(data.runs.map((id, at) => [id, at])), places: { kernels, jobs }, reasons,
    rows: data.rows.map((row) => [...row].map(result)) };
}

const read = new WeakMap();

/// The nights of a file, loaded.
async function nightsOf(file) {
  const data = await load('nights/' + file.name);
  if (!read.has(data)) read.set(data, readNights(data));
  return read.get(data);
}

/// A time of two digits, in milliseconds, and by which clock it passed. Null for none.
function timeOf(digits) {
  const [high, low] = [DIGITS.indexOf(digits[0]), DIGITS.indexOf(digits[1])];
  if (high < 0 || low < 0) return null;
  const number = high * 64 + low;
  return { ms: Math.round(Math.expm1((number % REAL) / 100)), real: number >= REAL };
}

/// What a night says of a cell. Null if it did not judge it.
function cellOf(nights, run, kernel, job) {
  const night = nights.night.get(run.id);
  const [k, j] = [nights.places.kernels.get(kernel), nights.places.jobs.get(job)];
  const result = nights.rows[nights.cells[j]?.[k]]?.[night];
  if (!result) return null;
  const time = nights.times[nights.guest[j][k]];
  const release = nights.releases[k].findLast(([from]) => from <= night);
  return { run, result, release: nights.texts[release?.[1] ?? -1], reason: nights.reasons.get(`${k} ${j} ${night}`),
    time: time === undefined ? null : timeOf(time.slice(night * 2, night * 2 + 2)) };
}

const day = (run) => run.started.slice(0, 10);
const minute = (run) => run.started.slice(0, 16).replace('T', ' ');
const plural = (count, one) => `${count.toLocaleString('en')} ${one}${count === 1 ? '' : 's'}`;

/// Addresses within the site.
const address = (...parts) => '#' + parts.map(encodeURIComponent).join('/');
const cellAddress = (matrix, kernel, job) => address('cell', matrix.name, kernel, job);
const nightLink = (run, words) => make('a', { href: address('night', run.id) }, words ?? minute(run));

/// A result as a symbol and words.
function outcome(result, more) {
  const marks = ['unexpected', 'conflict'].filter((mark) => result[mark]);
  return make('span', { class: ['outcome', result.outcome, ...marks].join(' ') },
    make('span', { 'aria-hidden': 'true' }, SYMBOLS[result.outcome] + (result.conflict ? '⚡' : '')), more ?? [' ', result.words]);
}

/// The marks that the words of a result do not say.
const unsaid = (result) => ['unexpected', 'conflict'].filter((mark) => result[mark] && !result.words.includes(mark));
