// Crops at equal bytes: two codings of one crop, with a slider between them or a flip.

const crops = { zoom: 2, left: null, right: null, flipped: false };

/** Codings that can be shown of a crop: the original, classical codecs, and learned codecs. */
function codingsOf(sample) {
  return { original: { title: "Original", picture: sample.original, caption: "" }, ...sample.codings };
}

function currentSample() {
  const run = RUNS[pins.A?.run ?? pins.B?.run ?? 0];
  const crop = Number(document.getElementById("crop-number").value || 0);
  return { run, sample: run.samples[Math.min(crop, run.samples.length - 1)] };
}

/** Offer what there is: the pinned candidates, the reference, the classical codecs, and others. */
function fillCodings(select, codings, run, wanted) {
  const named = Object.entries(pins).flatMap(([slot, pin]) =>
    (pin && RUNS[pin.run] === run && codings[run.ids[pin.row]] ? [[run.ids[pin.row], slot]] : []));
  const pinned = new Map(named);
  const order = [...pinned.keys(), ...Object.keys(codings).filter((key) => !pinned.has(key))];
  select.replaceChildren(...order.map((key) =>
    new Option(pinned.has(key) ? `${pinned.get(key)}: ${codings[key].title}` : codings[key].title, key)));
  select.value = codings[wanted] ? wanted : order[0];
}

/** Choose the two codings after pins have changed: A or the knee on the left, B or AVIF on the right. */
function showCrops() {
  const section = document.getElementById("crops-section");
  const { run, sample } = currentSample();
  section.hidden = !sample;
  if (!sample) return;
  const codings = codingsOf(sample);
  const idOf = (slot) => (pins[slot] && RUNS[pins[slot].run] === run ? run.ids[pins[slot].row] : null);
  const missing = Object.keys(pins).map(idOf).filter((id) => id && !codings[id]);
  document.getElementById("crops-missing").textContent = missing.length
    ? `The page holds no crops of ${missing.join(" and ")}; it holds those of the ${run.goal.noun}.` : "";
  const fallback = [run.knee, ...run.best].map((row) => run.ids[row]).find((id) => codings[id]);
  fillCodings(document.getElementById("crop-left"), codings, run, idOf("A") ?? crops.left ?? fallback);
  fillCodings(document.getElementById("crop-right"), codings, run, idOf("B") ?? crops.right ?? "avif");
  showPair();
}

/** Show the two chosen codings at the chosen zoom. */
function showPair() {
  const { sample } = currentSample();
  const codings = codingsOf(sample);
  for (const side of ["left", "right"]) {
    crops[side] = document.getElementById(`crop-${side}`).value;
    const coding = codings[crops[side]];
    const image = document.getElementById(`picture-${side}`);
    image.src = coding.picture;
    image.alt = `${coding.title} ${coding.caption}`;
    // One picture pixel takes `zoom` pixels of the device, so that nothing is interpolated.
    image.style.width = `${(sample.width * crops.zoom) / devicePixelRatio}px`;
    image.style.height = `${(sample.height * crops.zoom) / devicePixelRatio}px`;
    document.getElementById(`caption-${side}`).textContent = [coding.title, coding.caption].filter(Boolean).join(", ");
  }
  document.getElementById("seam-at").style.width = document.getElementById("picture-left").style.width;
  document.getElementById("zoom").textContent = `${crops.zoom}×`;
  moveSeam();
}

/** Cut the upper picture at the slider; while flipped, show the right picture whole. */
function moveSeam() {
  const share = crops.flipped ? 0 : Number(document.getElementById("seam-at").value);
  document.getElementById("picture-left").style.clipPath = `inset(0 ${100 - share}% 0 0)`;
  const seam = document.getElementById("seam");
  seam.style.left = `${share}%`;
  seam.hidden = share <= 0 || share >= 100;
}

function flip() {
  const slider = document.getElementById("seam-at");
  // The first flip shows the left picture whole; each further one changes sides.
  crops.flipped = Number(slider.value) === 100 && !crops.flipped;
  slider.value = 100;
  const side = crops.flipped ? "right" : "left";
  announce(`Showing ${document.getElementById(`caption-${side}`).textContent}`);
  moveSeam();
}

function zoomBy(factor) {
  crops.zoom = Math.min(Math.max(crops.zoom * factor, 1), 8);
  showPair();
}

function startCrops() {
  const number = document.getElementById("crop-number");
  const count = Math.max(...RUNS.map((run) => run.samples.length));
  for (let i = 0; i < count; i++) number.append(new Option(`crop ${i + 1}`, i));
  number.addEventListener("change", showCrops);
  for (const side of ["left", "right"]) document.getElementById(`crop-${side}`).addEventListener("change", showPair);
  const slider = document.getElementById("seam-at");
  slider.addEventListener("input", () => { crops.flipped = false; moveSeam(); });
  document.getElementById("flip").addEventListener("click", flip);
  document.getElementById("zoom-in").addEventListener("click", () => zoomBy(2));
  document.getElementById("zoom-out").addEventListener("click", () => zoomBy(0.5));
  document.getElementById("crops-section").addEventListener("keydown", (event) => {
    if (event.target.tagName === "SELECT" || event.ctrlKey || event.metaKey) return;
    if (event.key === "f") flip();
    else if (event.key === "+") zoomBy(2);
    else if (event.key === "-") zoomBy(0.5);
  });
  showCrops();
}
