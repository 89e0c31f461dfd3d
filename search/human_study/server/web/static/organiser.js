// The organiser's page, which is up to date within a few seconds.

const INTERVAL_MS = 3000;
const at = (id) => document.getElementById(id);
const base = location.pathname.replace(/\/$/, "");

function row(texts) {
  const line = document.createElement("tr");
  for (const text of texts) {
    const cell = line.insertCell();
    if (text instanceof Node) cell.append(text);
    else cell.textContent = text;
  }
  return line;
}

function svg(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function interval({ elo, low, high }, least, most) {
  const place = (value) => `${(100 * (value - least)) / (most - least)}%`;
  const drawing = svg("svg", { role: "img", "aria-label": `${Math.round(low)} to ${Math.round(high)}` });
  drawing.append(
    svg("line", { class: "axis", x1: "0", x2: "100%", y1: "50%", y2: "50%" }),
    svg("line", { x1: place(low), x2: place(high), y1: "50%", y2: "50%" }),
    svg("circle", { cx: place(elo), cy: "50%", r: 5 }),
  );
  return drawing;
}

function drawRanking(ranking) {
  const least = Math.min(...ranking.map((each) => each.low));
  const most = Math.max(...ranking.map((each) => each.high));
  const rows = ranking.map((each) => row([
    each.condition, Math.round(each.elo), `${Math.round(each.low)} to ${Math.round(each.high)}`,
    interval(each, least, most), each.shown,
  ]));
  rows.forEach((line, place) => {
    line.cells[3].classList.add("plot");
    line.classList.toggle("unseen", ranking[place].shown === 0);
  });
  at("ranking").tBodies[0].replaceChildren(...rows);
}

function drawPeople(people) {
  at("nobody").hidden = people.length > 0;
  at("people").hidden = people.length === 0;
  at("people").tBodies[0].replaceChildren(...people.map((each) => row([
    each.number, each.joined.replace("T", " ").slice(0, 16), `${each.answered} of ${each.comparisons}`,
    each.screen, each.colours, each.training, each.catch, each.repeats,
    each.seconds === null ? "" : `${each.seconds} s`,
  ])));
}

async function update() {
  try {
    const response = await fetch(`${base}/progress`);
    const progress = await response.json();
    at("answers").textContent = progress.answers;
    at("joined").textContent = progress.participants.length;
    at("finished").textContent = progress.finished;
    drawRanking(progress.ranking);
    drawPeople(progress.participants);
    at("problem").hidden = true;
  } catch {
    at("problem").textContent = "The server cannot be reached. This page tries again.";
    at("problem").hidden = false;
  }
}

at("invitation").textContent = location.origin + at("invitation").dataset.path;
at("export").href = `${base}/answers.csv`;
await update();
setInterval(update, INTERVAL_MS);
