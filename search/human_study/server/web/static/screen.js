// The size of pictures on the screen: one of their pixels is one pixel of the screen.

const GAP = 16;
const PADDING = 16;
const LONGEST_SHIFT = 10;

export const picture = {
  width: Number(document.body.dataset.width),
  height: Number(document.body.dataset.height),
};

/** Whether the screen is touched, so that there may be no keys to name. */
export const TOUCH = matchMedia("(hover: none) and (pointer: coarse)").matches;

/** How many pictures fit side by side: 0, 1 or 2. */
export function fits() {
  const width = picture.width / devicePixelRatio;
  const room = document.documentElement.clientWidth - 2 * PADDING;
  if (picture.height / devicePixelRatio > innerHeight) return 0;
  return Math.max(0, Math.min(2, Math.floor((room + GAP) / (width + GAP))));
}

/** A warning about magnification, or an empty text. */
export function magnified() {
  if (Math.abs(visualViewport.scale - 1) > 0.01) {
    return "The page is magnified. Pinch it back to its normal size.";
  }
  // Scroll bars and borders of windows take a few per cent.
  const zoom = outerWidth / innerWidth;
  if (matchMedia("(pointer: fine)").matches && outerWidth > 0 && (zoom > 1.08 || zoom < 0.92)) {
    return `The browser seems to zoom to ${Math.round(100 * zoom)} %. Reset it with Ctrl and 0 (Cmd and 0 on a Mac).`;
  }
  return "";
}

/** Show the pictures of a frame with their pixels on whole pixels of the screen. */
export function lock(frame) {
  frame.style.width = `${picture.width / devicePixelRatio}px`;
  frame.style.height = `${picture.height / devicePixelRatio}px`;
  // A scale is exact, whereas browsers round the sizes of boxes.
  for (const image of frame.children) image.style.transform = `scale(${1 / devicePixelRatio})`;
  frame.style.left = frame.style.top = "0";
  const { left, top } = frame.getBoundingClientRect();
  frame.style.left = `${whole(left) - left}px`;
  frame.style.top = `${whole(top) - top}px`;
}

/** The nearest place that is whole in CSS pixels and on the screen, as far as there is one. */
function whole(at) {
  const near = Math.round(at);
  for (let step = 0; step <= LONGEST_SHIFT; step++) {
    for (const place of [near + step, near - step]) {
      const pixels = place * devicePixelRatio;
      if (Math.abs(pixels - Math.round(pixels)) < 0.01) return place;
    }
  }
  return Math.round(at * devicePixelRatio) / devicePixelRatio;
}

/** Call `change` when the window, its zoom or its screen changes. */
export function whenResized(change) {
  addEventListener("resize", change);
  visualViewport.addEventListener("resize", change);
}
