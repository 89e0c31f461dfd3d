// The drawing of an architecture: encoder and decoder with their chains.

const CHAIN_FIELDS = ["C", "R", "E", "F"];
const STRIDES = { encoder: [4, 8, 16], decoder: [16, 8, 4] };

function chainOf(run, row, half, stride) {
  return Object.fromEntries(CHAIN_FIELDS.map((field) => [field, valueOf(run, row, `${half}.${stride}.${field}`)]));
}

/** The architecture in a few lines of text. */
function architectureLines(run, row) {
  const half = (name) => STRIDES[name].map((stride) => {
    const { C, R, E, F } = chainOf(run, row, name, stride);
    return R ? `${C}×${R} (E${E} F${F})` : `${C}×0`;
  }).join(", ");
  const latent = ["latent_channels", "hyper_channels"].map((name) => valueOf(run, row, name)).join(" / ");
  const choices = run.choices.map((name) => `${name.replace("_", " ")} ${valueOf(run, row, name)}`).join(", ");
  return [`encoder ${half("encoder")}`, `latent / hyper-latent ${latent}`, `decoder ${half("decoder")}`, choices];
}

function svgElement(name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Draw one chain: a bar as high as the chain is wide, with a stripe for each block. */
function drawChain(svg, left, chain, stride, widest) {
  const width = 48, height = 12 + 88 * (chain.C / widest), top = 62 - height / 2;
  svg.append(svgElement("rect", { class: "chain", x: left, y: top, width, height, rx: 3 }));
  for (let block = 0; block < chain.R; block++) {
    const step = width / chain.R;
    svg.append(svgElement("rect", {
      class: "block", x: left + block * step + 1.5, y: top + 3, width: Math.max(step - 3, 1), height: height - 6, rx: 1,
    }));
  }
  const middle = { x: left + width / 2, "text-anchor": "middle" };
  svg.append(svgElement("text", { ...middle, y: 130 }, `${chain.C} ch`));
  svg.append(svgElement("text", { ...middle, y: 144 }, chain.R === 1 ? "1 block" : `${chain.R} blocks`));
  svg.append(svgElement("text", { ...middle, y: 158 }, chain.R ? `E${chain.E} F${chain.F}` : ""));
  svg.append(svgElement("text", { ...middle, y: 172, class: "faint" }, `stride ${stride}`));
}

/** Draw the latent and the hyper-latent between encoder and decoder. */
function drawLatent(svg, left, latent, hyper, widest) {
  for (const [x, channels, label] of [[left, latent, "latent"], [left + 42, hyper, "hyper"]]) {
    const height = 12 + 88 * (channels / widest);
    svg.append(svgElement("rect", { class: "latent", x: x + 12, y: 62 - height / 2, width: 12, height, rx: 2 }));
    svg.append(svgElement("text", { x: x + 18, y: 130, "text-anchor": "middle" }, channels));
    svg.append(svgElement("text", { x: x + 18, y: 144, "text-anchor": "middle", class: "faint" }, label));
  }
}

/** An SVG drawing of an architecture, described in words for screen readers. */
function architectureDrawing(run, row) {
  const lines = architectureLines(run, row).join("; ");
  const svg = svgElement("svg", { class: "drawing", viewBox: "0 0 460 192", role: "img", "aria-label": lines });
  const chains = Object.entries(STRIDES).flatMap(([half, strides]) =>
    strides.map((stride, i) => ({ half, stride, i, chain: chainOf(run, row, half, stride) })));
  const [latent, hyper] = ["latent_channels", "hyper_channels"].map((name) => valueOf(run, row, name));
  const widest = Math.max(latent, ...chains.map(({ chain }) => chain.C));
  for (const { half, stride, i, chain } of chains) {
    drawChain(svg, (half === "encoder" ? 6 : 290) + 56 * i, chain, stride, widest);
  }
  drawLatent(svg, 190, latent, hyper, widest);
  svg.append(svgElement("text", { x: 6, y: 189, class: "faint" }, "encoder"));
  svg.append(svgElement("text", { x: 290, y: 189, class: "faint" }, "decoder"));
  return svg;
}
