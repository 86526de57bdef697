// Chromium's own decoders: every frame of a file, its pixels and its time in microseconds.

import { base64 } from "/pixels.mjs";

export default async function ({ files }) {
  const seen = {};
  for (const [file, type] of Object.entries(files)) {
    const data = (await fetch(`/export/${file}`)).body;
    const decoder = new ImageDecoder({ data, type, colorSpaceConversion: "none" });
    await decoder.completed;
    const { frameCount, repetitionCount } = decoder.tracks.selectedTrack;
    const frames = [];
    for (let frameIndex = 0; frameIndex < frameCount; frameIndex++) {
      const { image } = await decoder.decode({ frameIndex });
      const bytes = new Uint8Array(image.allocationSize({ format: "RGBA" }));
      await image.copyTo(bytes, { format: "RGBA" });
      frames.push({ duration: image.duration, pixels: base64([bytes]) });
      image.close();
    }
    // Infinity is nothing that JSON knows.
    seen[file] = { frames, again: Number.isFinite(repetitionCount) ? repetitionCount : -1 };
  }
  return seen;
}
