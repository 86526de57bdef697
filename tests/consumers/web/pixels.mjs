// What consumers have in common: the pixels that WebGL drew, and the frames that an animation shows; knows no engine.

/** RGBA of the canvas, top row first, as base64: colors are multiplied by alpha, as the canvas holds them. */
export function pixels(gl) {
  const [width, height] = [gl.drawingBufferWidth, gl.drawingBufferHeight];
  const bytes = new Uint8Array(4 * width * height);
  gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
  const rows = [];
  for (let y = height - 1; y >= 0; y--) rows.push(bytes.subarray(4 * width * y, 4 * width * (y + 1)));
  return base64(rows);
}

export function base64(arrays) {
  let text = "";
  for (const array of arrays) for (const byte of array) text += String.fromCharCode(byte);
  return btoa(text);
}

/**
 * Run length of what is shown in the middle of every millisecond: [name, milliseconds] in order.
 *
 * `step(ms)` lets an animation go on, `name()` is what it shows, or null when it is over.
 */
export function shown(step, name, milliseconds) {
  const runs = [];
  step(0.5);
  for (let time = 0; time < milliseconds; time++) {
    const now = name();
    if (now === null) break;
    if (runs.length && runs.at(-1)[0] === now) runs.at(-1)[1]++;
    else runs.push([now, 1]);
    step(1);
  }
  return runs;
}
