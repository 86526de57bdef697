// PixiJS 8: loads an export by its manifest and draws every frame by its anchor; plays what `timelines` says.

import { AnimatedSprite, Application, Assets, NineSliceSprite, Sprite } from "/node_modules/pixi.js/dist/pixi.min.mjs";
import { pixels, shown } from "/pixels.mjs";

export default async function ({ bundle, canvas, origin, scale, milliseconds, nine = [] }) {
  const app = new Application();
  await app.init({
    width: canvas[0], height: canvas[1], backgroundAlpha: 0, antialias: false, autoStart: false, preference: "webgl",
    roundPixels: true,
  });
  const draw = (sprite) => {
    app.stage.removeChildren();
    app.stage.addChild(sprite);
    app.render();
    return pixels(app.renderer.gl);
  };
  await Assets.init({ basePath: "/export", manifest: "/export/manifest.json" });
  const sheets = {};
  for (const [name, sheet] of Object.entries(await Assets.loadBundle(bundle))) {
    const pages = [sheet, ...sheet.linkedSheets];
    const textures = Object.assign({}, ...pages.map((page) => page.textures));
    const frames = {};
    for (const [label, texture] of Object.entries(textures)) {
      const sprite = new Sprite(texture);
      sprite.position.set(...origin);
      sprite.scale.set(scale);
      frames[label] = { pixels: draw(sprite), anchor: [sprite.anchor.x, sprite.anchor.y] };
    }
    const timelines = {};
    for (const [tag, { frames, loop }] of Object.entries(sheet.data.timelines)) {
      const sprite = new AnimatedSprite({
        textures: frames.map(({ texture, time }) => ({ texture: textures[texture], time })),
        loop, updateAnchor: true, autoUpdate: false,
      });
      sprite.play();
      const step = (ms) => sprite.update({ deltaTime: 60 * ms / 1000 });
      timelines[tag] = shown(step, () => sprite.playing ? sprite.texture.label : null, milliseconds);
    }
    const animations = {};
    for (const page of pages) {
      for (const [tag, textures] of Object.entries(page.animations)) animations[tag] = textures.map((one) => one.label);
    }
    const slices = {};
    for (const { frame, width, height } of nine.filter((one) => one.frame in textures)) {
      const sprite = new NineSliceSprite({ texture: textures[frame], width, height, anchor: 0 });
      sprite.position.set(0, 0);
      slices[frame] = draw(sprite);
    }
    sheets[name] = { frames, timelines, animations, slices };
  }
  return { sheets, renderer: app.renderer.name };
}
