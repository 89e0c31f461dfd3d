// The size of pictures on the screen: one of their pixels is one pixel of the screen.

const GAP = 16;
const PADDING = 16;

export const picture = {
  width: Number(document.body.dataset.width),
  height: Number(document.body.dataset.height),
};

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

/** Give a frame the size of a picture, and place it on whole pixels of the screen. */
export function lock(frame) {
  frame.style.width = `${picture.width / devicePixelRatio}px`;
  frame.style.height = `${picture.height / devicePixelRatio}px`;
  frame.style.left = frame.style.top = "0";
  const { left, top } = frame.getBoundingClientRect();
  const shift = (at) => (Math.round(at * devicePixelRatio) - at * devicePixelRatio) / devicePixelRatio;
  frame.style.left = `${shift(left)}px`;
  frame.style.top = `${shift(top)}px`;
}

/** Call `change` when the window, its zoom or its screen changes. */
export function whenResized(change) {
  addEventListener("resize", change);
  visualViewport.addEventListener("resize", change);
}
