// The time-sequence picture of a connection: sequence numbers upwards, time to the right. Shapes differ as well as
// colours: new data is a thin bar, data sent again a broad one, and lost data has a cross.

const SIZE = { width: 640, height: 330, left: 70, right: 14, top: 14, bottom: 44 };

/// Round numbers between two, at most about eight of them.
function ticks(least, most) {
  const rough = Math.max((most - least) / 7, 1e-9);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const found = [];
  for (let n = Math.ceil(least / step); n * step <= most && found.length < 12; n += 1) found.push(n * step);
  return found;
}

/// The numbers behind a list of differences, in groups of `size`. Lengths are no differences.
function points(flat, size) {
  const found = [];
  let [time, byte] = [0, 0];
  for (let at = 0; at + size <= flat.length; at += size) {
    time += flat[at];
    byte += flat[at + 1];
    found.push(size === 3 ? [time, byte, byte + flat[at + 2]] : [time, byte]);
  }
  return found;
}

/// A picture with its numbers.
function unpacked(picture) {
  const bars = { data: points(picture.data, 3), again: points(picture.again, 3), lost: points(picture.lost, 3),
    sacks: points(picture.sacks, 3) };
  return { ...picture, ...bars, acks: points(picture.acks, 2) };
}

/// The drawing, over this many microseconds.
function drawing(picture, end, title) {
  const { width, height, left, right, top, bottom } = SIZE;
  const sent = [...picture.data, ...picture.again, ...picture.lost];
  const least = Math.min(0, ...sent.map((bar) => bar[1]));
  const most = Math.max(least + 10, ...sent.map((bar) => bar[2]));
  const x = (time) => left + (time / Math.max(end, 1)) * (width - left - right);
  const y = (byte) => height - bottom - ((Math.min(Math.max(byte, least), most) - least) / (most - least)) * (height - top - bottom);
  const at = (number) => number.toFixed(1);
  const bar = (room) => ([time, from, to]) => `M${at(x(time))} ${at(y(from))}V${at(Math.min(y(to), y(from) - room))}`;
  const cross = ([time, from, to]) => {
    const [h, v] = [x(time), (y(from) + y(to)) / 2];
    return `M${at(h - 4)} ${at(v - 4)}l8 8M${at(h - 4)} ${at(v + 4)}l8 -8`;
  };
  const path = (name, lines) => lines.length > 0 && make('path', { class: name, d: lines.join('') });
  const steps = picture.acks.map(([time, byte], n) => (n === 0 ? `M${at(x(time))} ${at(y(byte))}` : `H${at(x(time))}V${at(y(byte))}`) + 'v5v-5');
  const label = (words, h, v, more) => make('text', { x: at(h), y: at(v), ...more }, words);
  const seconds = ticks(0, end / 1e6);
  const bytes = ticks(least, most);
  const digits = Math.max(0, -Math.floor(Math.log10(Math.max(seconds[1] ?? 1, 1e-6)) + 1e-9));
  return make('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': title },
    seconds.map((tick) => [make('line', { class: 'rule', x1: at(x(tick * 1e6)), x2: at(x(tick * 1e6)), y1: top, y2: height - bottom }),
      label(tick.toFixed(digits), x(tick * 1e6), height - bottom + 16, { 'text-anchor': 'middle' })]),
    bytes.map((tick) => [make('line', { class: 'rule', x1: left, x2: width - right, y1: at(y(tick)), y2: at(y(tick)) }),
      label(tick.toLocaleString('en'), left - 6, y(tick) + 4, { 'text-anchor': 'end' })]),
    label('seconds', (left + width - right) / 2, height - 8, { 'text-anchor': 'middle' }),
    x(picture.end) < width - right - 30 && [
      make('rect', { class: 'ended', x: at(x(picture.end)), y: top, width: at(width - right - x(picture.end)), height: height - bottom - top }),
      label('no packets recorded', (x(picture.end) + width - right) / 2, (top + height - bottom) / 2, { class: 'ended', 'text-anchor': 'middle' })],
    picture.timeouts.filter((due) => due <= end).map((due, n) => [
      make('line', { class: 'timeout', x1: at(x(due)), x2: at(x(due)), y1: top, y2: height - bottom }),
      label(n === 0 ? 'RTO' : '×' + 2 ** n, x(due) - 3, top + 10, { class: 'timeout', 'text-anchor': 'end' })]),
    path('acks', steps), path('sacks', picture.sacks.map(bar(2))), path('data', picture.data.map(bar(2))),
    path('again', picture.again.map(bar(7))), path('lost', picture.lost.map(cross)));
}

/// What a picture shows, in words.
function spoken(picture) {
  const many = (count, one, more) => count === 0 ? '' : `${count} ${count === 1 ? one : more}`;
  const parts = [many(picture.data.length, 'segment of new data', 'segments of new data'),
    many(picture.again.length, 'sent again', 'sent again') || 'none sent again',
    many(picture.lost.length, 'lost on the wire', 'lost on the wire'),
    many(picture.timeouts.length, 'retransmission timeout due', 'retransmission timeouts due')];
  return parts.filter(Boolean).join(', ');
}

/// Every drawn segment as a row, for those who do not see the picture.
function segmentTable(picture) {
  const rows = ['data', 'again', 'lost'].flatMap((kind) => picture[kind].map(([time, from, to]) => [time, kind, from, to]));
  rows.push(...picture.acks.map(([time, byte]) => [time, 'acknowledged', '', byte]));
  rows.push(...picture.sacks.map(([time, from, to]) => [time, 'selectively acknowledged', from, to]));
  rows.push(...picture.timeouts.map((due) => [due, 'timeout due', '', '']));
  rows.sort((a, b) => a[0] - b[0]);
  return grid('Segments of ' + picture.check, ['seconds', 'what', 'from byte', 'to byte'],
    rows.map(([time, ...rest]) => [(time / 1e6).toFixed(6), ...rest.map(String)]));
}

/// A picture with its caption, the table behind it, and its file.
function figure(cell, packed, end) {
  const picture = unpacked(packed);
  const check = details().cells[cell.index].checks.map((place) => details().checks[place]).find((check) => say(check.name) === picture.check);
  const where = kernelOf(cell).name + (profileName(cell) === DEFAULT ? '' : ' @' + profileName(cell));
  const title = `${where}, ${picture.check}: ${spoken(picture)}`;
  const more = later('Segments as a table', () => segmentTable(picture));
  return make('figure', {}, make('figcaption', {}, make('b', {}, where + ' '), picture.check, ' ',
    check && make('span', { class: 'tag ' + say(check.shown) }, say(check.role) + ': ' + say(check.shown)), ' ', spoken(picture),
    picture.left_out > 0 && `; ${picture.left_out} segments are left out`),
  drawing(picture, end, title), more, file(picture.file, 'open ' + picture.file.split('/').pop()));
}

const legend = () => make('div', { class: 'legend', role: 'group', 'aria-label': 'Legend' },
  [['data', 'data'], ['again', 'sent again'], ['lost', 'lost on the wire'], ['acks', 'acknowledged'], ['sacks', 'selectively acknowledged'],
    ['timeout', 'retransmission timeout due']].map(([name, words]) => make('span', {},
    make('svg', { viewBox: '0 0 16 12', 'aria-hidden': 'true' }, make('path', { class: name, d: name === 'lost' ? 'M4 2l8 8M4 10l8 -8' : name === 'acks' ? 'M1 9H8V4H15' : 'M8 1V11' })), ' ' + words)));

/// Which cell to show beside this one: the same bug with the other outcome.
function opposite(cell) {
  const other = { fail: 'pass', pass: 'fail' }[cell.outcome];
  return comparable(cell).find((one) => one.outcome === other && one.profile === cell.profile) ?? null;
}

const comparable = (cell) => cells.filter((one) => one !== cell && one.bug === cell.bug && details().cells[one.index].pictures);

/// The pictures of a cell, beside those of another: stall and recovery on the same time scale.
function pictures(cell) {
  const own = details().cells[cell.index].pictures;
  if (!own) return [];
  const place = make('div', { class: 'pictures' });
  const show = (other) => {
    const others = other === null ? [] : details().cells[other.index].pictures;
    const pairs = own.map((picture) => [picture, others.find((one) => one.check === picture.check)]);
    const wire = (picture) => picture.file.endsWith('.pcapng');
    const span = (kind) => Math.max(...pairs.flat().filter((one) => one && wire(one) === kind).map((one) => one.end), 1);
    place.classList.toggle('paired', other !== null);
    place.replaceChildren(...pairs.flatMap(([picture, beside]) => {
      const end = span(wire(picture));
      const empty = other !== null && make('p', { class: 'quiet' }, kernelOf(other).name + ' has no picture of ' + picture.check);
      return [figure(cell, picture, end), beside ? figure(other, beside, end) : empty].filter(Boolean);
    }));
  };
  const first = opposite(cell);
  const options = comparable(cell).map((one) => make('option', { value: one.index, selected: one === first },
    `${kernelOf(one).name}${profileName(one) === DEFAULT ? '' : ' @' + profileName(one)}: ${one.word}`));
  const choice = options.length > 0 && make('label', {}, 'Beside it: ', make('select', { id: 'beside', onchange: (event) =>
    show(event.target.value === '' ? null : cells[Number(event.target.value)]) }, make('option', { value: '' }, 'nothing'), options));
  show(first);
  return [make('p', { class: 'quiet' }, 'Sequence number (bytes) against time. Retransmission timeouts count from when the oldest unacknowledged byte was last sent.'), legend(), choice, place];
}
