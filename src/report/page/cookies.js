// The table of SYN cookies as a heat map: what the server read of connections whose first data lost k bytes, for each
// MSS, and what the arithmetic of cookies predicts.

/// What the arithmetic predicts: the cookie's count of the MSS moves by the lost bytes.
const predicted = ({ k, index }) => k === 0 ? 'whole' : k <= index ? 'lost' : 'refused';

function observed({ k, read, refused }) {
  if (refused) return 'refused';
  if (read === null || read === undefined) return 'unclear';
  return k === 0 ? 'whole' : 'lost';
}

const WORDS = { whole: 'whole', lost: 'bytes lost', refused: 'refused', unclear: 'unclear' };

/// The facts of a check by their names.
function factsOf(check) {
  if (!check.facts) return {};
  const [names, values] = check.facts;
  return Object.fromEntries(details().fact_names[names].map((name, at) => [say(name), values[at]]));
}

/// The heat map of a cell's checks, or nothing if they are of another kind.
function cookies(checks) {
  const found = [];
  for (const check of checks) {
    const facts = factsOf(check);
    const kind = /^k=\d+ mss=\d+( ipv6)?$/.exec(say(check.name));
    if (kind && Number.isInteger(facts.k_bytes) && Number.isInteger(facts.mss_index)) {
      found.push({ k: facts.k_bytes, mss: facts.mss_bytes, index: facts.mss_index, read: facts.read_bytes, refused: facts.refused > 0,
        sent: facts.snd_mss_bytes, family: kind[1] ? 'IPv6' : 'IPv4', why: say(check.why) });
    }
  }
  const lost = [...new Set(found.map((one) => one.k))].sort((a, b) => a - b);
  const tables = ['IPv4', 'IPv6'].map((family) => {
    const own = found.filter((one) => one.family === family);
    if (own.length === 0) return null;
    const sizes = [...new Set(own.map((one) => one.index))].sort((a, b) => a - b);
    const cell = (one) => {
      if (!one) return make('td', {}, '–');
      const [theory, seen] = [predicted(one), observed(one)];
      const agrees = theory === seen;
      return make('td', { class: 'heat ' + seen + (agrees ? '' : ' differs'), title: one.why }, make('b', {}, WORDS[seen]),
        seen === 'lost' && make('small', {}, ` ${one.k} of them, as MSS ${one.sent ?? 'unknown'}`),
        make('small', {}, agrees ? ' as predicted' : ` ≠ predicted: ${WORDS[theory]}`));
    };
    const rows = sizes.map((index) => {
      const row = own.filter((one) => one.index === index);
      return make('tr', {}, make('th', { scope: 'row' }, 'MSS ' + row[0].mss), lost.map((k) => cell(row.find((one) => one.k === k))));
    });
    const head = make('tr', {}, make('th', { scope: 'col' }, family), lost.map((k) => make('th', { scope: 'col' }, `k = ${k}`)));
    return make('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': 'SYN cookies over ' + family },
      make('table', { class: 'map' }, make('caption', { class: 'unseen' }, `First data k bytes late, over ${family}: seen and predicted`),
        make('thead', {}, head), make('tbody', {}, rows)));
  });
  const shown = tables.filter(Boolean);
  return shown.length === 0 ? [] : [make('p', { class: 'quiet' },
    'What the server read of connections from SYN cookies whose first data lost k bytes. Prediction: a cookie of MSS number i is accepted up to k = i, because the sequence number is only subtracted from it.'), shown];
}
