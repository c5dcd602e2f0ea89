// The page's data.

const read = (id) => JSON.parse(byId(id).textContent);
const overview = read('overview');
let readDetails = null;

/// The details are read when the first cell is opened: they are far larger than the matrix.
const details = () => (readDetails ??= read('details'));
const say = (place) => details().texts[place];

const MARKS = { unexpected: 1, conflict: 2, changed: 4 };
const DEFAULT = 'default';

/// All cells, as objects, in the matrix's order.
const cells = overview.cells.map(([kernel, bug, profile, word, outcome, verdict, state, marks], index) => ({
  index, kernel, bug, profile, outcome, verdict, state,
  word: overview.words[word],
  unexpected: (marks & MARKS.unexpected) > 0,
  conflict: (marks & MARKS.conflict) > 0,
  changed: (marks & MARKS.changed) > 0,
}));
const kernelOf = (cell) => overview.kernels[cell.kernel];
const profileName = (cell) => overview.profiles[cell.profile].name;
const jobOf = (cell) => {
  const profile = profileName(cell);
  return overview.bugs[cell.bug] + (profile === DEFAULT ? '' : '@' + profile);
};
const hashOf = (cell) => '#' + encodeURI(kernelOf(cell).name + '/' + jobOf(cell));
const byHash = new Map(cells.map((cell) => [hashOf(cell), cell]));

/// A link to a file of the run's folder. Only a plain relative path becomes one.
function file(path, words) {
  const plain = path.split('/').every((part) => part !== '' && part !== '.' && part !== '..') && !/[\\:\u0000-\u001f]/.test(path);
  if (!plain || overview.folder === null) return make('code', {}, words ?? path);
  const href = (overview.folder + path).split('/').map(encodeURIComponent).join('/');
  return make('a', { href }, words ?? path);
}
