// The rows of a long table, made when they come near the window.

const CHUNK = 40;

/// Gives a table rows, in bodies of 40. `show` makes them again: the first ones at once, and a space for each of the others.
function lazyRows(table) {
  let [rows, makeRow, chunks, rowHeight] = [[], null, [], 36];
  const height = (chunk) => Math.min(CHUNK, rows.length - chunk.from) * rowHeight + 'px';
  const fill = (chunk) => {
    if (chunk.made) return;
    chunk.made = true;
    const own = rows.slice(chunk.from, chunk.from + CHUNK);
    chunk.body.replaceChildren(...own.map((row, at) => makeRow(row, chunk.from + at, rows[chunk.from + at - 1])));
  };
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((entry) => entry.isIntersecting)) {
      const chunk = chunks[Number(entry.target.dataset.chunk)];
      if (chunk && chunk.body === entry.target) {
        fill(chunk);
        seen.unobserve(entry.target);
      }
    }
  }, { rootMargin: '800px', scrollMargin: '800px' });
  return {
    show(shown, ownRow, columns, heads = 1) {
      seen.disconnect();
      for (const chunk of chunks) chunk.body.remove();
      [rows, makeRow, chunks] = [shown, ownRow, []];
      for (let from = 0; from < rows.length; from += CHUNK) {
        const chunk = { from, body: make('tbody', { role: 'rowgroup', 'data-chunk': chunks.length }), made: false };
        chunks.push(chunk);
        if (from === 0) fill(chunk);
        else {
          const space = make('td', { colspan: columns });
          space.style.height = height(chunk);
          chunk.body.append(make('tr', { 'aria-hidden': 'true' }, space));
        }
      }
      table.append(...chunks.map((chunk) => chunk.body));
      if (chunks.length > 0) {
        const measured = chunks[0].body.getBoundingClientRect().height / Math.min(CHUNK, rows.length);
        if (measured > 0 && Math.abs(measured - rowHeight) > 1) {
          rowHeight = measured;
          for (const chunk of chunks.slice(1)) chunk.body.querySelector('td').style.height = height(chunk);
        }
      }
      for (const chunk of chunks.slice(1)) seen.observe(chunk.body);
      table.setAttribute('aria-rowcount', rows.length + heads);
    },
    /// The row at a place, made if it is not yet.
    row(at) {
      const chunk = chunks[Math.floor(at / CHUNK)];
      fill(chunk);
      return chunk.body.children[at - chunk.from];
    },
    fillAll: () => chunks.forEach(fill),
    end: () => seen.disconnect(),
  };
}
