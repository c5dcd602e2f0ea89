// Lines over nights. They differ in their strokes as well as in their colours.

const CHART = { width: 960, height: 240, left: 60, right: 14, top: 12, bottom: 30 };

/// Round numbers from 0 to at least `most`, about five of them, in steps of at least `least`.
function rounds(most, least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1e-9) / 4));
  const step = Math.max([1, 2, 5, 10].map((n) => n * power).find((n) => n * 5 >= most), least);
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, n) => n * step);
}

/// A chart of `lines`, each with a name, words, and a value for each run, the oldest first; null where it has none.
function chart(label, runs, lines, least) {
  const { width, height, left, right, top, bottom } = CHART;
  const most = Math.max(...lines.flatMap((line) => line.values.map((value) => value ?? 0)), 0) || 1;
  const marks = rounds(most, least);
  const x = (at) => (left + (runs.length < 2 ? 0.5 : at / (runs.length - 1)) * (width - left - right)).toFixed(1);
  const y = (value) => (height - bottom - (value / marks.at(-1)) * (height - top - bottom)).toFixed(1);
  const path = (values) => {
    let [d, drawing] = ['', false];
    values.forEach((value, at) => {
      if (value !== null) d += `${drawing ? 'L' : 'M'}${x(at)} ${y(value)}` + (drawing || (values[at + 1] ?? null) !== null ? '' : 'h0.1');
      drawing = value !== null;
    });
    return d;
  };
  const dates = Array.from({ length: Math.min(6, runs.length) }, (_, n) => Math.round(n * (runs.length - 1) / Math.max(Math.min(6, runs.length) - 1, 1)));
  const text = (words, at, more) => make('text', { ...at, ...more }, words);
  const svg = make('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label },
    marks.map((mark) => [make('line', { class: 'rule', x1: left, x2: width - right, y1: y(mark), y2: y(mark) }),
      text(mark.toLocaleString('en'), { x: left - 6, y: Number(y(mark)) + 4 }, { 'text-anchor': 'end' })]),
    dates.map((at, n) => text(day(runs[at]), { x: x(at), y: height - 8 },
      { 'text-anchor': n === 0 ? 'start' : n === dates.length - 1 ? 'end' : 'middle' })),
    lines.map((line) => make('path', { class: 'line ' + line.name, d: path(line.values) })));
  const legend = make('div', { class: 'legend', role: 'group', 'aria-label': 'Legend' }, lines.map((line) => make('span', {},
    make('svg', { viewBox: '0 0 28 12', 'aria-hidden': 'true' }, make('path', { class: 'line ' + line.name, d: 'M1 6H27' })), ' ' + line.words)));
  return make('figure', {}, make('figcaption', {}, label), lines.length > 1 && legend, svg);
}
