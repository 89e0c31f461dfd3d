// Light and dark, and the layout that all charts share.

// Colours by Okabe and Ito, which people with any kind of colour vision can tell apart.
const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999", "#f0e442"];
const SCALE = "Cividis";
const THEME_KEY = "codec-search-theme";

function themeColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function preferredTheme() {
  let stored = null;
  try { stored = localStorage.getItem(THEME_KEY); } catch { /* A page opened as a file may have no storage. */ }
  return stored ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  document.getElementById("theme").textContent = theme === "dark" ? "Light" : "Dark";
}

function axisLayout(title, options = {}) {
  return {
    title: { text: title, font: { size: 13 } },
    gridcolor: themeColour("line"), linecolor: themeColour("line"), zerolinecolor: themeColour("line"),
    automargin: true, ...options,
  };
}

/** Layout of a chart. `options` overrides or adds entries. */
function chartLayout(options) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: themeColour("ink"), size: 12, family: "system-ui, sans-serif" },
    hoverlabel: { align: "left", bgcolor: themeColour("panel"), font: { color: themeColour("ink") } },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    margin: { l: 60, r: 12, t: 30, b: 50 }, ...options,
  };
}

const CHART_OPTIONS = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] };

/** Draw a chart in an element, or redraw it. */
function drawChart(id, traces, layout) {
  return Plotly.react(id, traces, chartLayout(layout), CHART_OPTIONS);
}

/** Options of a logarithmic axis that label it with plain numbers, and enough of them. */
function logAxis(values) {
  const positive = values.filter((value) => value > 0);
  const [low, high] = [Math.min(...positive), Math.max(...positive)];
  const steps = high / low > 30 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 7];
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    ticks.push(...steps.map((step) => Number((step * 10 ** power).toPrecision(3))));
  }
  return { type: "log", tickvals: ticks, ticktext: ticks.map(String) };
}
