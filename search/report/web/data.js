// The data of the page: one object per run, with a column of values for each figure of a trial.

const PAGE = JSON.parse(document.getElementById("data").textContent);
const RUNS = PAGE.runs;

/** A candidate: the number of its run and the number of its row. */
function sameCandidate(one, other) {
  return Boolean(one && other && one.run === other.run && one.row === other.row);
}

function columnOf(run, name) {
  return run.columns.find((column) => column.name === name);
}

/** Value of a column for a row; `null` if it is not known. Categories are returned as words. */
function valueOf(run, row, name) {
  const column = columnOf(run, name);
  if (!column) return null;
  const value = run.values[name][row];
  return column.levels && value !== null ? column.levels[value] : value;
}

/** Names of the columns that every run has, in the order of the first run. */
function sharedColumns() {
  const [first, ...others] = RUNS;
  return first.columns.filter((column) => others.every((run) => columnOf(run, column.name)));
}

/** Format a number with about three significant digits, and a sign where it is a difference. */
function shown(value, column) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return value;
  const sign = column?.signed && value > 0 ? "+" : "";
  const size = Math.abs(value);
  const digits = column?.whole ? 0 : size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return sign + value.toFixed(digits).replace("-", "−");
}

/** Format a value with its unit, and with its 90 % interval where there is one. */
function described(run, row, name) {
  const column = columnOf(run, name);
  const text = `${shown(valueOf(run, row, name), column)}${column.unit ? ` ${column.unit}` : ""}`;
  if (!column.low) return text;
  const ends = [column.low, column.high].map((end) => shown(valueOf(run, row, end), column));
  return `${text} (${ends.join(" to ")})`;
}

/** Rows of a run whose trial ended with a BD-rate. */
function evaluatedRows(run) {
  return run.states.flatMap((state, row) => (state === "best" || state === "evaluated" ? [row] : []));
}
