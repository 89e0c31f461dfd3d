// The table of the best candidates, which can be sorted and from which they can be pinned.

const order = { name: null, falling: false };

function tableColumns() {
  return sharedColumns().filter((column) => column.tabled);
}

function tableRows() {
  const found = RUNS.flatMap((run, number) => run.best.map((row) => ({ run: number, row })));
  if (!order.name) return found;
  const key = ({ run, row }) => RUNS[run].values[order.name][row] ?? Infinity;
  return found.sort((one, other) => (key(one) - key(other)) * (order.falling ? -1 : 1));
}

function headCell(column) {
  const sorted = order.name === column.name;
  const button = element("button", { type: "button", onclick: () => {
    Object.assign(order, { name: column.name, falling: sorted && !order.falling });
    drawTable();
  } }, column.title);
  return element("th", { scope: "col", "aria-sort": sorted ? (order.falling ? "descending" : "ascending") : "none" }, button);
}

function drawTable() {
  const columns = tableColumns();
  const head = element("tr", {}, element("th", { scope: "col" }, "id"), ...columns.map(headCell),
    element("th", { scope: "col" }, ""));
  const rows = tableRows().map((candidate) => {
    const run = RUNS[candidate.run];
    const id = run.ids[candidate.row];
    const button = element("button", { type: "button", "aria-label": `Pin ${id}`, onclick: () => togglePin(candidate) }, id);
    const name = element("td", {}, button, ...(RUNS.length > 1 ? [` ${run.name}`] : []));
    const line = element("tr", { "data-run": candidate.run, "data-row": candidate.row }, name,
      ...columns.map((column) => element("td", {}, intervalText(run, candidate.row, column))),
      element("td", { class: "soft" }, valueOf(run, candidate.row, "decode_distance") > 1 ? "measure me" : ""));
    return line;
  });
  document.getElementById("best").replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows));
  markRows();
}

/** Mark the rows of the pinned candidates. */
function markRows() {
  for (const line of document.querySelectorAll("#best tbody tr")) {
    const candidate = { run: Number(line.dataset.run), row: Number(line.dataset.row) };
    const slot = Object.keys(pins).find((each) => sameCandidate(pins[each], candidate));
    if (slot) line.dataset.slot = slot;
    else delete line.dataset.slot;
  }
}

function startTables() {
  drawTable();
  const failures = RUNS.flatMap((run) => Object.entries(run.failures).map(([row, reason]) =>
    element("tr", {}, element("td", {}, run.ids[row]), element("td", {}, run.name), element("td", {}, reason))));
  document.getElementById("failures-section").hidden = !failures.length;
  document.querySelector("#failures tbody").replaceChildren(...failures);
}
